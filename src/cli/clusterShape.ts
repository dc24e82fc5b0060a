/** `GET /_walcast/cluster`, as far as commands read it. States and causes are any text. */
import { PAUSE } from './answerShapes.ts'
import { CLUSTER_ELECTION, NODE_ELECTION } from './electionShapes.ts'
import { count, fields, flag, listOf, nullable, oneOf, real, text } from './shape.ts'

const NODE = fields(
  {
    node: text,
    address: text,
    role: nullable(oneOf(['leader', 'replica', 'standby'])),
    state: text,
    position: nullable(text),
    lagMs: nullable(real),
    behindTxids: nullable(real),
    ageMs: nullable(real),
    version: nullable(text),
    isReachable: flag,
    awaySince: nullable(text),
    causes: listOf(fields({ code: text, text })),
    ack: nullable(text),
    restorableUntil: nullable(fields({ position: text, at: text })),
  },
  {
    bundles: nullable(count),
    election: NODE_ELECTION,
  },
)

export const CLUSTER = fields(
  {
    asked: text,
    cluster: text,
    database: text,
    leader: nullable(text),
    epoch: count,
    nodes: listOf(NODE),
  },
  {
    paused: PAUSE,
    election: CLUSTER_ELECTION,
  },
)
