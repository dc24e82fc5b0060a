/**
 * Where the node stands: status, lag, the wait for a position, and the stream of events; and where
 * all nodes of the cluster stand.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parsePosition } from '../../proto/position.ts'
import { CLUSTER_PATH, type ClusterDesk } from '../api/clusterOverview.ts'
import { type Databases, onlyDatabase } from '../api/databases.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import type { WaitTarget } from '../api/positionWaits.ts'
import { SETTLE_PATH, type SettleAnswer } from '../api/settled.ts'
import { WalcastError } from '../errors.ts'
import type { NodeReport } from '../health/nodeReport.ts'
import type { Events } from './events.ts'
import { addLagHistoryRoute, type LagHistoryParts } from './lagHistoryRoute.ts'
import type { Place } from './requestFields.ts'

const DEFAULT_WAIT_MS = 5000

export interface StatusParts extends LagHistoryParts {
  readonly databases: Databases
  readonly report: NodeReport
  readonly cluster: ClusterDesk
  readonly events: Events
  /** Longest wait for a position. */
  readonly limits: { readonly maxWaitMs: number }
}

export function addStatusRoutes(
  app: FastifyInstance,
  parts: StatusParts,
  isStillIn: (request: FastifyRequest) => boolean,
  placeOf: (request: FastifyRequest) => Place,
): void {
  const { databases, report, cluster, events, limits } = parts
  app.get('/_walcast/status', async () => report.status())
  app.get(CLUSTER_PATH, async () => cluster.answer())
  app.get('/_walcast/lag', async () => report.lag())
  addLagHistoryRoute(app, parts, placeOf)
  app.get('/_walcast/wait', async (request) => {
    const { view, waits } = onlyDatabase(databases)
    const query = request.query as Record<string, string | undefined>
    const timeoutMs = numberIn(query, 'timeoutMs', String(DEFAULT_WAIT_MS))
    await waits.until(targetIn(query), Math.min(timeoutMs, limits.maxWaitMs))
    const { epoch, txid } = view.status()
    return { epoch, txid }
  })
  app.get(SETTLE_PATH, async () => settled(onlyDatabase(databases).view, report))
  app.get('/_walcast/events', (request, reply) => {
    events.add(reply.raw, () => isStillIn(request))
    reply.hijack()
  })
}

/** Throws what `settle` does: STARTING, or NOT_LEADER. */
async function settled(view: DatabaseView, report: NodeReport): Promise<SettleAnswer> {
  const wanted = await view.settle()
  // No wait comes between: these are of one position.
  const { node, role, epoch, txid, checksum } = report.status()
  const isCaptured = epoch === wanted.epoch && txid >= wanted.txid
  return { node, role, epoch, txid, incarnation: view.incarnation(), checksum, isCaptured }
}

type Query = Readonly<Record<string, string | undefined>>

/** Throws BAD_REQUEST. */
function targetIn(query: Query): WaitTarget {
  const { position } = query
  if (position === undefined) return { epoch: undefined, txid: numberIn(query, 'txid') }
  const target = parsePosition(position)
  if (!target) throw new WalcastError('BAD_REQUEST', { detail: 'position is not EPOCH-TXID' })
  return target
}

/** Throws BAD_REQUEST. */
function numberIn(query: Query, name: string, fallback?: string): number {
  const text = query[name] ?? fallback
  if (text === undefined || !/^\d{1,15}$/.test(text))
    throw new WalcastError('BAD_REQUEST', { detail: `${name} is not a whole number` })
  return Number(text)
}
