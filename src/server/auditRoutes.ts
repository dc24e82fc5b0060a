/** `GET /_walcast/audit`: who changed a node's role or its list of replicas, when and why, as far as the node remembers. */
import type { FastifyInstance } from 'fastify'
import type { NodeRole } from '../api/nodeView.ts'
import { WalcastError } from '../errors.ts'

export const AUDIT_PATH = '/_walcast/audit'
/** Entries that a node answers with at most. */
export const MAX_AUDIT_ENTRIES = 200
const DEFAULT_ENTRIES = 50

export const AUDIT_ACTIONS = [
  'promote',
  'demote',
  'switchover',
  'rehearse',
  'forget',
  'role',
  'start',
] as const
export const AUDIT_OUTCOMES = ['done', 'refused', 'failed'] as const

export interface AuditEntry {
  /** ISO time. */
  readonly at: string
  readonly node: string
  readonly action: (typeof AUDIT_ACTIONS)[number]
  readonly outcome: (typeof AUDIT_OUTCOMES)[number]
  /** Role and position of the node when the entry was made. */
  readonly role: NodeRole
  readonly epoch: number
  readonly txid: number
  /** Who asked for it: an operator as `user@host`, or what in the node did. */
  readonly by: string
  readonly detail?: string
}

export interface AuditAnswer {
  /** Newest last. */
  readonly entries: readonly AuditEntry[]
}

/** The log, as far as answers need it. */
export interface AuditSource {
  /** The last `limit` entries, newest last. */
  recent(limit: number): readonly AuditEntry[]
}

/** `audit` gives undefined while the node starts. */
export function addAuditRoutes(app: FastifyInstance, audit: () => AuditSource | undefined): void {
  app.get(AUDIT_PATH, async (request): Promise<AuditAnswer> => {
    const { limit } = request.query as Record<string, unknown>
    const wanted = limit === undefined ? DEFAULT_ENTRIES : limitOf(limit)
    const source = audit()
    if (!source) throw new WalcastError('STARTING')
    return { entries: source.recent(wanted) }
  })
}

function limitOf(given: unknown): number {
  const limit = typeof given === 'string' && /^\d{1,3}$/.test(given) ? Number(given) : 0
  if (limit < 1 || limit > MAX_AUDIT_ENTRIES)
    throw new WalcastError('BAD_REQUEST', {
      detail: `limit is not a whole number from 1 to ${MAX_AUDIT_ENTRIES}`,
    })
  return limit
}
