/** The parts of a history of lag that commands read. */
import { ENTRY, ROLE } from './answerShapes.ts'
import { count, fields, listOf, mapOf, nullable, real, text } from './shape.ts'

const TOLD_PERCENTILES = nullable(fields({ p50Ms: real, p95Ms: real, p99Ms: real }))

const LAG_POINT = fields({
  from: text,
  to: text,
  role: ROLE,
  lagMs: real,
  percentiles: TOLD_PERCENTILES,
  stages: nullable(mapOf(TOLD_PERCENTILES)),
  transactionsPerSecond: real,
  bytesPerSecond: real,
  walBytes: real,
  heldWrites: count,
  pauses: count,
  longestPauseMs: real,
  causes: listOf(text),
})

/** `GET /_walcast/lag/history`. */
export const LAG_HISTORY = fields({
  node: text,
  from: text,
  to: text,
  pointSeconds: real,
  points: listOf(LAG_POINT),
  events: listOf(ENTRY),
})
