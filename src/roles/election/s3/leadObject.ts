/**
 * The content of the object `lead`: the lease and the value beside it, as JSON. People may read it
 * with the tools of the store, and must not write it.
 */
import { MAX_ELECTION_BYTES } from '../leaseService.ts'

export interface LeadContent {
  readonly value: string
  /** Who holds the lease; '' once it was released. */
  readonly holder: string
  /** For how long the lease counts after this write, in milliseconds. */
  readonly ttlMs: number
  /** One more than in what this write replaced. */
  readonly count: number
  /** Random, of this write: no two contents are equal, and so no two ETags. */
  readonly nonce: string
}

/** Each byte of the value is written as six at worst (`\u0001`). */
export const MAX_LEAD_BYTES = 6 * MAX_ELECTION_BYTES + 1024
/** A longer lease would outlast everyone's patience; it is a mistake of who wrote it. */
export const MAX_TTL_MS = 24 * 3600_000
const FORMAT = 1
const MAX_COUNT = 2 ** 52
const HOLDER = /^[\w.-]{0,200}$/
const NONCE = /^[0-9a-f]{32}$/

export function formatLead(content: LeadContent): string {
  return `${JSON.stringify({ format: FORMAT, ...content })}\n`
}

/** Undefined for anything that `formatLead` does not write. */
export function parseLead(text: string): LeadContent | undefined {
  const read = objectIn(text)
  if (read?.['format'] !== FORMAT) return undefined
  const { value, holder, ttlMs, count, nonce } = read
  if (typeof value !== 'string' || Buffer.byteLength(value) > MAX_ELECTION_BYTES) return undefined
  if (typeof holder !== 'string' || !HOLDER.test(holder)) return undefined
  if (typeof nonce !== 'string' || !NONCE.test(nonce)) return undefined
  if (!isWhole(ttlMs, 1, MAX_TTL_MS) || !isWhole(count, 0, MAX_COUNT)) return undefined
  return { value, holder, ttlMs, count, nonce }
}

/** Throws RangeError for more than a value or a note may have. */
export function requireShort(text: string): void {
  if (Buffer.byteLength(text) > MAX_ELECTION_BYTES)
    throw new RangeError(`more than ${MAX_ELECTION_BYTES} bytes for a lock service`)
}

function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const read: unknown = JSON.parse(text)
    return typeof read === 'object' && read !== null ? { ...read } : undefined
  } catch {
    return undefined
  }
}

function isWhole(number: unknown, least: number, most: number): number is number {
  return Number.isSafeInteger(number) && Number(number) >= least && Number(number) <= most
}
