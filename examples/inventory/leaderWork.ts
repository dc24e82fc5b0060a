/** What only the leader does: the migration, and a job that marks endpoints as stale. */
import type { FastifyInstance } from 'fastify'
import type { NodeRole } from 'walcast'
import type { Inventory } from './inventory.ts'
import { migrate } from './migration.ts'

export interface LeaderWork {
  readonly inventory: Inventory
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
    timer = setInterval(() => markStale(app, work), work.checkEveryMs)
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
function markStale(app: FastifyInstance, { inventory, name, staleAfterMs }: LeaderWork): void {
  try {
    inventory.markStale(new Date(Date.now() - staleAfterMs), name)
  } catch (error) {
    app.log.error({ err: error }, 'the job failed')
  }
}
