/**
 * One step of a replica that catches up: several batches as one, with only the last image of each
 * page.
 */
import {
  decode,
  encode,
  pagesPayloadBytes,
  payloadPage,
  payloadPageNumber,
} from '../../proto/codec.ts'
import { MAX_PAGES } from '../../proto/limits.ts'
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'

/**
 * Bytes of a step's payload, unless its first batch alone is larger: it is made on the thread that
 * streams, beside everything else.
 */
const STEP_BYTES = 1024 * 1024

interface Image {
  readonly batch: number
  readonly index: number
}

interface Part {
  readonly body: Body<'batch'>
  readonly payload: Buffer
}

/**
 * Makes one batch of the leading messages of `messages`, each a whole batch that begins where the
 * one before ends: as many as fit into one step. Gives how many they are; at least the first.
 */
export function compact(messages: Iterable<Buffer>): {
  readonly message: Buffer
  readonly count: number
} {
  const parts: Part[] = []
  const newest = new Map<number, Image>()
  for (const message of messages) {
    const part = partOf(message)
    if (parts.length > 0 && !fits(newest, part)) break
    const batch = parts.push(part) - 1
    for (let index = 0; index < part.body.pages; index++)
      newest.set(payloadPageNumber(part.payload, index), { batch, index })
  }
  return { message: encodeParts(parts, newest), count: parts.length }
}

function partOf(message: Buffer): Part {
  const decoded = decode(message)
  if (decoded.type !== 'batch')
    throw new WalcastError('INTERNAL', { detail: `${decoded.type} in history` })
  return decoded
}

function fits(newest: ReadonlyMap<number, Image>, { body, payload }: Part): boolean {
  let pages = newest.size
  for (let index = 0; index < body.pages; index++)
    if (!newest.has(payloadPageNumber(payload, index))) pages++
  return pages <= MAX_PAGES && pagesPayloadBytes(pages, body.pageSize) <= STEP_BYTES
}

function encodeParts(parts: readonly Part[], newest: ReadonlyMap<number, Image>): Buffer {
  const first = parts[0].body
  const last = parts[parts.length - 1].body
  const { pageSize, dbPages } = last
  const kept = [...newest].filter(([page]) => page <= dbPages)
  const pages = kept.length
  const body = { ...last, fromTxid: first.fromTxid, noticeMs: first.noticeMs, pages }
  return encode('batch', body, pagesPayloadBytes(pages, pageSize), (target) => {
    kept.forEach(([page, { batch, index }], i) => {
      const { body: from, payload } = parts[batch]
      target.writeUInt32LE(page, 4 * i)
      target.set(payloadPage(payload, index, from.pages, pageSize), 4 * pages + i * pageSize)
    })
  })
}
