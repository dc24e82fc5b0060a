/** What only the leader does: the migration, the password, and a job that keeps things in order. */
import type { FastifyInstance } from 'fastify'
import type { NodeRole } from 'walcast'
import type { Accounts } from './accounts.ts'
import type { Inventory } from './inventory.ts'
import { migrate } from './migration.ts'

export interface LeaderWork {
  readonly inventory: Inventory
  readonly accounts: Accounts
  readonly password: string | undefined
  readonly name: string
  /** Time between two runs of the job. */
  readonly checkEveryMs: number
  /** An endpoint is stale when not seen for so long. */
  readonly staleAfterMs: number
}

/** Runs while this node leads, now or later, until the application closes. */
export function workWhileLeading(app: FastifyInstance, work: LeaderWork): void {
  let timer: NodeJS.Timeout | undefined
  const end = () => clearInterval(timer)
  const follow = (role: NodeRole) => {
    end()
    if (role !== 'leader') return
    migrate(work.inventory, work.name)
    if (work.password !== undefined) work.accounts.keepPassword(work.password)
    timer = setInterval(() => keepOrder(app, work), work.checkEveryMs)
  }
  // The event reports only changes, so the current role is read here.
  follow(app.walcast.role)
  app.walcast.on('role', follow)
  app.addHook('onClose', async () => {
    app.walcast.off('role', follow)
    end()
  })
}

/**
 * A failure is logged, and the next run tries again. If this node has lost its role, the handle
 * refuses.
 */
function keepOrder(app: FastifyInstance, work: LeaderWork): void {
  const { inventory, accounts, name, staleAfterMs } = work
  try {
    inventory.markStale(new Date(Date.now() - staleAfterMs), name)
    accounts.forgetEnded()
  } catch (error) {
    app.log.error({ err: error }, 'the job failed')
  }
}
