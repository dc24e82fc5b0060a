/**
 * `GET /_walcast/lag/history?from=TIME&to=TIME&points=N`: what the node remembers of that time. A
 * TIME is an ISO time with zone, or milliseconds since 1970.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  LAG_HISTORY_PATH,
  type LagHistorySource,
  type LagWindowAsked,
  MAX_LAG_POINTS,
  MIN_LAG_POINTS,
} from '../api/lagHistory.ts'
import { badRequest, type Place } from './requestFields.ts'

const DEFAULT_POINTS = 120
const HOUR_MS = 60 * 60_000

export interface LagHistoryParts {
  readonly lagHistory: LagHistorySource
  /** Reading of the node's clock. */
  nowMs(): number
}

export function addLagHistoryRoute(
  app: FastifyInstance,
  { lagHistory, nowMs }: LagHistoryParts,
  placeOf: (request: FastifyRequest) => Place,
): void {
  app.get(LAG_HISTORY_PATH, async (request) =>
    lagHistory.answer(windowIn(Object(request.query), nowMs()), placeOf(request).asker),
  )
}

type Query = Readonly<Record<string, unknown>>

/** The last hour unless others are given. Throws BAD_REQUEST. */
function windowIn(query: Query, nowMs: number): LagWindowAsked {
  const toMs = timeIn(query, 'to') ?? nowMs
  const fromMs = timeIn(query, 'from') ?? toMs - HOUR_MS
  if (fromMs >= toMs) throw badRequest('from is not before to')
  const points = Number(query['points'] ?? DEFAULT_POINTS)
  if (Number.isInteger(points) && points >= MIN_LAG_POINTS && points <= MAX_LAG_POINTS)
    return { fromMs, toMs, points }
  throw badRequest(`points is not a whole number from ${MIN_LAG_POINTS} to ${MAX_LAG_POINTS}`)
}

function timeIn(query: Query, name: string): number | undefined {
  const text = query[name]
  if (text === undefined) return undefined
  if (typeof text === 'string' && /^\d{1,15}$/.test(text)) return Number(text)
  const isIso =
    typeof text === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]{5,18}(Z|[+-]\d\d:\d\d)$/.test(text)
  const atMs = isIso ? Date.parse(text) : Number.NaN
  if (Number.isFinite(atMs)) return atMs
  throw badRequest(`${name} is neither an ISO time with zone nor milliseconds since 1970`)
}
