/**
 * One slot of a lag ring: what a node measured in a stretch of time, in 256 bytes. proto/LAGRING.md
 * describes the format. Pure.
 *
 * The tables below are the format: a number keeps its place for ever, and a new one gets the next.
 */
import { crc32 } from 'node:zlib'
import { CAUSE_CODES, type CauseCode } from '../../api/cause.ts'
import type { NodeRole } from '../../api/roleAnswers.ts'

export const SLOT_BYTES = 256

/** Where each number stands, and how those of several slots become one. */
export const SLOT_VALUES = {
  lagMs: 'most',
  p50Ms: 'most',
  p95Ms: 'most',
  p99Ms: 'most',
  noticedP50Ms: 'most',
  noticedP95Ms: 'most',
  noticedP99Ms: 'most',
  sentP50Ms: 'most',
  sentP95Ms: 'most',
  sentP99Ms: 'most',
  receivedP50Ms: 'most',
  receivedP95Ms: 'most',
  receivedP99Ms: 'most',
  appliedP50Ms: 'most',
  appliedP95Ms: 'most',
  appliedP99Ms: 'most',
  transactions: 'sum',
  bytes: 'sum',
  walBytes: 'most',
  heldWrites: 'sum',
  mostHeld: 'most',
  pauses: 'sum',
  pausedMs: 'sum',
  longestPauseMs: 'most',
} as const

export type SlotValue = keyof typeof SLOT_VALUES
/** NaN: nothing was measured. */
export type SlotValues = Readonly<Record<SlotValue, number>>

export interface LagSlot {
  /** Counts the slots of a ring, from 1. */
  readonly seq: number
  /** ms since 1970 in the node's clock. */
  readonly fromMs: number
  readonly toMs: number
  readonly role: NodeRole
  readonly causes: readonly CauseCode[]
  readonly values: SlotValues
}

/** The same in little memory, for many of them. */
export interface HeldSlot extends Omit<LagSlot, 'values'> {
  /** In the order of `VALUE_NAMES`. */
  readonly numbers: readonly number[]
}

export const VALUE_NAMES = Object.keys(SLOT_VALUES) as readonly SlotValue[]

const ROLES: readonly NodeRole[] = ['leader', 'replica', 'standby']
/** Bit of each cause. */
const CAUSE_BITS: Readonly<Record<CauseCode, number>> = {
  'long-reader': 0,
  'slow-link': 1,
  'link-down': 2,
  'apply-bound': 3,
  'leader-disk': 4,
  'replica-disk': 5,
  'replica-away': 6,
  'leader-away': 7,
  'wrong-cluster': 8,
  'not-a-member': 9,
  'source-behind': 10,
  'page-size': 11,
  'application-down': 12,
  'snapshot-overdue': 13,
  'archive-stalled': 14,
  'proof-overdue': 15,
}

const AT = { sum: 0, role: 4, causes: 8, seq: 16, from: 24, to: 32, values: 40 } as const
/** The last moment that a Date can hold. */
const MAX_TIME_MS = 8.64e15

export function encodeSlot({ seq, fromMs, toMs, role, causes, values }: LagSlot): Buffer {
  const bytes = Buffer.alloc(SLOT_BYTES)
  bytes.writeUInt32LE(ROLES.indexOf(role), AT.role)
  bytes.writeUInt32LE(bitsOf(causes), AT.causes)
  bytes.writeDoubleLE(seq, AT.seq)
  bytes.writeDoubleLE(fromMs, AT.from)
  bytes.writeDoubleLE(toMs, AT.to)
  for (const [i, name] of VALUE_NAMES.entries())
    bytes.writeDoubleLE(values[name], AT.values + 8 * i)
  bytes.writeUInt32LE(crc32(bytes.subarray(AT.role)), AT.sum)
  return bytes
}

/** Undefined for a slot that is empty, torn or impossible. Ignores what a newer node has added. */
export function decodeSlot(bytes: Buffer): LagSlot | undefined {
  if (bytes.length !== SLOT_BYTES) return undefined
  if (bytes.readUInt32LE(AT.sum) !== crc32(bytes.subarray(AT.role))) return undefined
  const role = ROLES[bytes.readUInt32LE(AT.role)]
  const seq = bytes.readDoubleLE(AT.seq)
  const fromMs = bytes.readDoubleLE(AT.from)
  const toMs = bytes.readDoubleLE(AT.to)
  if (role === undefined || !Number.isSafeInteger(seq) || seq < 1) return undefined
  if (!(fromMs >= 0 && fromMs < toMs && toMs <= MAX_TIME_MS)) return undefined
  const bits = bytes.readUInt32LE(AT.causes)
  const values = valuesFrom((_name, i) => bytes.readDoubleLE(AT.values + 8 * i))
  if (VALUE_NAMES.some((name) => values[name] < 0 || values[name] === Infinity)) return undefined
  return { seq, fromMs, toMs, role, causes: causesOf(bits), values }
}

export function heldSlot({ seq, fromMs, toMs, role, causes, values }: LagSlot): HeldSlot {
  return { seq, fromMs, toMs, role, causes, numbers: numbersOf(values) }
}

export function numbersOf(values: SlotValues): readonly number[] {
  return VALUE_NAMES.map((name) => values[name])
}

export function valuesFrom(read: (name: SlotValue, i: number) => number): SlotValues {
  const values: Partial<Record<SlotValue, number>> = {}
  for (let i = 0; i < VALUE_NAMES.length; i++) values[VALUE_NAMES[i]] = read(VALUE_NAMES[i], i)
  return values as SlotValues
}

function bitsOf(causes: readonly CauseCode[]): number {
  return causes.reduce((bits, code) => bits | (1 << CAUSE_BITS[code]), 0) >>> 0
}

function causesOf(bits: number): CauseCode[] {
  return CAUSE_CODES.filter((code) => (bits & (1 << CAUSE_BITS[code])) !== 0)
}
