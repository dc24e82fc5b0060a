/**
 * What a node knows about itself, as its role file holds it: identity, role, epochs, and the nodes
 * it has met.
 */
import {
  type HistoryPoint,
  type Incarnation,
  isIncarnation,
  type Lineage,
  MAX_LINEAGE,
} from '../../proto/lineage.ts'
import { messageOf, WalcastError } from '../errors.ts'
import { randomBytes } from '../platform/random.ts'

export type Role = 'leader' | 'replica' | 'standby'

/** Another node of the cluster. */
export interface Member {
  readonly node: string
  /** HOST:PORT at which others reach it. */
  readonly address: string
}

/** When this node last became the leader, or last stopped leading. */
export interface RoleChangeMark {
  /** ISO time in this node's clock. */
  readonly at: string
  readonly epoch: number
  readonly txid: number
}

/** When this node last found its state put back to an earlier one. */
export interface PutBackMark {
  /** ISO time in this node's clock. */
  readonly at: string
  /** The position that begins the epoch above the lost commits. */
  readonly epoch: number
  readonly txid: number
  /** Where the state stood before that epoch began. */
  readonly from: HistoryPoint
  /** What gave it away. */
  readonly reason: string
}

/** The mark for an epoch that begins at this position because the state was put back. */
export function putBackMark(
  at: string,
  { epoch, txid }: { readonly epoch: number; readonly txid: number },
  { from: { incarnation, txid: fromTxid }, reason }: Pick<PutBackMark, 'from' | 'reason'>,
): PutBackMark {
  return { at, epoch, txid, from: { incarnation, txid: fromTxid }, reason }
}

export interface NodeRecord {
  readonly format: 2
  readonly node: string
  /** '' on a replica before its first copy. */
  readonly cluster: string
  readonly role: Role
  /** The highest epoch in which this node has led or followed. */
  readonly epoch: number
  /** The last epoch that this node knows to have begun with a promotion; 0 when there is none. */
  readonly term: number
  /** This node has never given out a txid above this one. */
  readonly txidCeiling: number
  /** Whether this node is a standby while it does not lead. */
  readonly standby: boolean
  /** HOST:PORT of the leader that it follows or last followed; '' when it leads, or has none. */
  readonly leader: string
  /** The last value of --leader. The same value given again does not undo a change of role. */
  readonly givenLeader: string
  /**
   * Permission bits of the leader's database file, as the leader last reported them, or as this
   * node last began to lead. A copy is never wider.
   */
  readonly leaderMode?: number | undefined
  readonly lineage: Lineage
  /** The incarnation in which this node leads or last led; '' before the first. */
  readonly incarnation: string
  /** The nodes that this one asks who leads; at most MAX_MEMBERS. */
  readonly members: readonly Member[]
  /** When this node had its first role, ISO time in its clock. Files of old versions lack it. */
  readonly began?: string | undefined
  readonly promoted?: RoleChangeMark | undefined
  /** Has no txid when the node stopped leading before it had opened its database. */
  readonly demoted?: (Omit<RoleChangeMark, 'txid'> & Partial<RoleChangeMark>) | undefined
  readonly putBack?: PutBackMark | undefined
}

export const MAX_MEMBERS = 256
const FORMAT = 2
const ROLES: readonly string[] = ['leader', 'replica', 'standby']

/** A new random id of 12 hex digits with a readable prefix. */
export function newId(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`
}

export function formatRecord(record: NodeRecord): string {
  return `${JSON.stringify(record, null, 2)}\n`
}

/** `path` is named in errors. Throws NODE_FILE_BROKEN. */
export function parseRecord(text: string, path: string): NodeRecord {
  let value: Partial<NodeRecord>
  try {
    value = Object(JSON.parse(text))
  } catch (error) {
    throw new WalcastError('NODE_FILE_BROKEN', { path, detail: messageOf(error) }, error)
  }
  const broken = (detail: string) => new WalcastError('NODE_FILE_BROKEN', { path, detail })
  const { node, cluster, role, epoch, txidCeiling } = value
  if (value.format !== undefined && value.format !== FORMAT) {
    const format = JSON.stringify(value.format)
    throw broken(`it has format ${format}, and this version reads format ${FORMAT}`)
  }
  const isWhole =
    value.format === FORMAT &&
    typeof node === 'string' &&
    typeof cluster === 'string' &&
    ROLES.includes(String(role)) &&
    Number.isSafeInteger(epoch) &&
    Number.isSafeInteger(txidCeiling)
  if (!isWhole) throw broken('a field is missing or of the wrong kind')
  const whole = { ...(value as NodeRecord), ...withDefaults(value) }
  if (!isSound(whole)) throw broken('a field is of the wrong kind or too long')
  return whole
}

/** The fields that files of earlier versions may lack. */
function withDefaults(value: Partial<NodeRecord>) {
  const { standby = value.role === 'standby', leader = '', givenLeader = '' } = value
  const { lineage = [], incarnation = '', term = 0, members = [] } = value
  return { standby, leader, givenLeader, lineage, incarnation, term, members }
}

function isSound(record: NodeRecord): boolean {
  const { standby, leader, givenLeader, lineage, incarnation, term, members, leaderMode } = record
  const { began } = record
  return (
    typeof standby === 'boolean' &&
    typeof leader === 'string' &&
    typeof givenLeader === 'string' &&
    Number.isSafeInteger(term) &&
    (leaderMode === undefined || isMode(leaderMode)) &&
    (began === undefined || Number.isFinite(Date.parse(began))) &&
    (incarnation === '' || isIncarnation(String(incarnation))) &&
    isListOf(lineage, MAX_LINEAGE, isBegun) &&
    isListOf(members, MAX_MEMBERS, isMember)
  )
}

function isListOf<T>(
  value: unknown,
  most: number,
  isOne: (each: unknown) => each is T,
): value is readonly T[] {
  return Array.isArray(value) && value.length <= most && value.every(isOne)
}

function isBegun(value: unknown): value is Incarnation {
  const { id, epoch, after, afterEpoch, txid, leader, exact } = Object(value)
  const isComplete = typeof exact === 'boolean' && typeof leader === 'string'
  const isLinked = isIncarnation(String(id)) && (after === '' || isIncarnation(String(after)))
  return [epoch, afterEpoch, txid].every(Number.isSafeInteger) && isLinked && isComplete
}

function isMode(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 0o777
}

function isMember(value: unknown): value is Member {
  const { node, address } = Object(value)
  return typeof node === 'string' && typeof address === 'string'
}

/**
 * Id of the node that leads, or led, in the highest epoch that the record knows of; '' when it
 * knows none.
 */
export function lastLeader({ lineage, epoch }: Pick<NodeRecord, 'lineage' | 'epoch'>): string {
  return lineage.findLast((begun) => begun.epoch === epoch)?.leader ?? ''
}
