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

/** A node that comes to lead lets go of the write lock a moment after it says so. */
const RETRY_MS = 20

/** Runs while this node leads, now or later, until the application closes. */
export function workWhileLeading(app: FastifyInstance, work: LeaderWork): void {
  let timer: NodeJS.Timeout | undefined
  const end = () => clearTimeout(timer)
  const begin = () => {
    if (prepare(work)) timer = setInterval(() => keepOrder(app, work), work.checkEveryMs)
    else timer = setTimeout(begin, RETRY_MS)
  }
  const follow = (role: NodeRole) => {
    end()
    if (role === 'leader') begin()
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
 * False while the write lock is taken. Waiting for it within SQLite would hold up this thread, and
 * with it the node that is to let go.
 */
function prepare({ inventory, accounts, password, name }: LeaderWork): boolean {
  const { database } = inventory
  const waitMs = Number(database.pragma('busy_timeout', { simple: true }))
  database.pragma('busy_timeout = 0')
  try {
    migrate(inventory, name)
    if (password !== undefined) accounts.keepPassword(password)
    return true
  } catch (error) {
    if (Object(error).code === 'SQLITE_BUSY') return false
    throw error
  } finally {
    database.pragma(`busy_timeout = ${waitMs}`)
  }
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
