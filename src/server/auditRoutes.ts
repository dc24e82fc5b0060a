/**
 * `GET /_walcast/audit`: who changed the node's role or its list of replicas, when and why, as far
 * back as the node remembers.
 */
import type { FastifyInstance } from 'fastify'
import { AUDIT_PATH, type AuditAnswer, type AuditSource, MAX_AUDIT_ENTRIES } from '../api/audit.ts'
import { WalcastError } from '../errors.ts'

const DEFAULT_ENTRIES = 50

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
