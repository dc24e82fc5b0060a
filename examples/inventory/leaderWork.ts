/** What only the leader does: the migration, and a job that marks endpoints as stale. */
import type { FastifyInstance } from 'fastify'
import type { NodeRole } from 'walcast'
import type { Inventory } from './inventory.ts'
import { migrate } from './migration.ts'

export interface LeaderWork {
  readonly inventory: Inventory
  readonly name: string
  /** Between two runs of the job. */
  readonly checkEveryMs: number
  /** An endpoint that was not seen for so long is stale. */
  readonly staleAfterMs: number
}

/**
 * Begins when this node leads (now or later), and ends when it no longer does or the application
 * closes.
 */
export function workWhileLeading(app: FastifyInstance, work: LeaderWork): void {
  let timer: NodeJS.Timeout | undefined
  const end = () => clearInterval(timer)
  const follow = (role: NodeRole) => {
    end()
    if (role !== 'leader') return
    migrate(work.inventory, work.name)
    timer = setInterval(() => markStale(app, work), work.checkEveryMs)
  }
  // The event tells of changes only: the role of now is asked for.
  follow(app.walcast.role)
  app.walcast.on('role', follow)
  app.addHook('onClose', async () => {
    app.walcast.off('role', follow)
    end()
  })
}

/**
 * A failure is logged and the next run tries again. Were this node to lose its role in between, the
 * handle would refuse.
 */
function markStale(app: FastifyInstance, { inventory, name, staleAfterMs }: LeaderWork): void {
  try {
    inventory.markStale(new Date(Date.now() - staleAfterMs), name)
  } catch (error) {
    app.log.error({ err: error }, 'the job failed')
  }
}
