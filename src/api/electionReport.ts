/** What a node tells of automatic failover. */

/** Who changed a role when no operator did: in the audit log, and for hooks. */
export const AUTOMATIC_FAILOVER = 'automatic failover'

export interface ElectionReport {
  /** The lock service, for people. */
  readonly service: string
  readonly ttlMs: number
  /** Whether somebody holds the lease, as far as this node has seen. */
  readonly isHeld: boolean
  /** Who holds it, or held it last, and in which epoch that one leads; null when not known. */
  readonly node: string | null
  readonly epoch: number | null
  /** Of the leader: how long writes are let in unless the lease is renewed; null of others. */
  readonly validForMs: number | null
  /** Of a leader: the service is away, and all members agree that it leads. */
  readonly isByAgreement: boolean
  /** Ids of the nodes whose confirmations count. */
  readonly counted: readonly string[]
  /** How long the service has not answered, and what it says; null while it does. */
  readonly awayForMs: number | null
  readonly awayBecause: string | null
  /** Why this node was not promoted though nobody leads; null when that is not so. */
  readonly notPromoted: string | null
  /** Which members did not agree that this leader goes on, and why; null when all did. */
  readonly disagreed: string | null
}
