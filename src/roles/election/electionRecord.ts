/**
 * What nodes write into a lock service: the value beside the lease, which tells of the present or
 * last leadership, and a note of each candidate. Sealed by `electionSeal.ts`: who may write to the
 * service and is not of the cluster can end a lease, and cannot tell what nobody said.
 */
import {
  address,
  checksum,
  count,
  counted,
  flag,
  name,
  nodeId,
  whole,
} from '../../../proto/fields.ts'
import type { Position } from '../../../proto/position.ts'

/** The leadership that the lease stands for, or stood for last. */
export interface Term {
  /** In which it leads. Never less than in any term before. */
  readonly epoch: number
  readonly node: string
  /** HOST:PORT of that node. */
  readonly address: string
  /** Whether a write is acknowledged only when nodes of `counted` hold it. */
  readonly isAcknowledged: boolean
  /**
   * Ids of the nodes whose confirmations count: every acknowledged write above `floor` is held by
   * one of them at least.
   */
  readonly counted: readonly string[]
  readonly floor: Position
  /** Id of the node that the lease was handed to, and takes it before all others; '' for none. */
  readonly heir: string
  /** Higher with each change within an epoch: a value that somebody put back has a lower one. */
  readonly serial: number
}

/** Where a candidate stands. */
export interface CandidateNote {
  readonly node: string
  /** HOST:PORT of that node. */
  readonly address: string
  readonly position: Position
  /** State checksum at that position. */
  readonly checksum: string
  /** The highest epoch that it knows. */
  readonly knownEpoch: number
  readonly priority: number
  readonly mayLead: boolean
  /**
   * `Look.mark` of the lease at whose end this was written: nothing that the leader acknowledged is
   * missing in it that this node had confirmed. '' while the lease is held.
   */
  readonly mark: string
}

/** Confirmations of further nodes do not count: the value has a bound. */
export const MAX_COUNTED_NODES = 32
const MAX_PRIORITY = 1_000_000
const MAX_MARK_CHARS = 256
const mark = { accepts: (value: unknown): value is string => isShort(value) }
const ids = { accepts: (value: unknown): value is readonly string[] => isList(value) }
const position = { accepts: (value: unknown): value is Position => isPosition(value) }

const TERM = {
  epoch: counted,
  node: nodeId,
  address,
  isAcknowledged: flag,
  counted: ids,
  floor: position,
  heir: nodeId,
  serial: count,
}

const NOTE = {
  node: nodeId,
  address,
  position,
  checksum,
  knownEpoch: counted,
  priority: whole(MAX_PRIORITY),
  mayLead: flag,
  mark,
}

/** Undefined when it is no term. Numbers are judged by `Claims`. */
export function termIn(value: unknown): Term | undefined {
  return fieldsOf(TERM, value) as Term | undefined
}

/** Undefined when it is no note. Numbers are judged by `Claims`. */
export function noteIn(value: unknown): CandidateNote | undefined {
  return fieldsOf(NOTE, value) as CandidateNote | undefined
}

type Fields = Readonly<Record<string, { accepts(value: unknown): boolean }>>

function fieldsOf(fields: Fields, value: unknown): object | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const given = new Map(Object.entries(value))
  const found: [string, unknown][] = []
  for (const [key, field] of Object.entries(fields)) {
    if (!field.accepts(given.get(key))) return undefined
    found.push([key, given.get(key)])
  }
  return Object.fromEntries(found)
}

function isPosition(value: unknown): value is Position {
  const { epoch, txid } = Object(value)
  return counted.accepts(epoch) && counted.accepts(txid)
}

function isList(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length <= MAX_COUNTED_NODES &&
    value.every((each) => each !== '' && nodeId.accepts(each))
  )
}

function isShort(value: unknown): value is string {
  return name.accepts(value) && value.length <= MAX_MARK_CHARS
}
