/** What nodes tell of automatic failover, as far as commands read it. */
import { count, fields, flag, nullable, real, text } from './shape.ts'

/** In a status. */
export const ELECTION = fields({
  service: text,
  ttlMs: real,
  isHeld: flag,
  node: nullable(text),
  epoch: nullable(count),
  validForMs: nullable(real),
  isByAgreement: flag,
  awayForMs: nullable(real),
  awayBecause: nullable(text),
  notPromoted: nullable(text),
  disagreed: nullable(text),
})

/** Of one node, in a list of all. */
export const NODE_ELECTION = fields({ awayForMs: nullable(real), notPromoted: nullable(text) })

/** Of the whole cluster. */
export const CLUSTER_ELECTION = fields({
  text,
  service: text,
  ttlMs: real,
  isHeld: nullable(flag),
  node: nullable(text),
  epoch: nullable(count),
  validForMs: nullable(real),
  isByAgreement: flag,
})
