import { encode, pagesPayloadBytes } from '../../proto/codec.ts'
import { MAX_PAGES, MAX_PAYLOAD_BYTES } from '../../proto/limits.ts'
import type { Body } from '../../proto/messages.ts'
import { frameBytes } from '../sqlite/walFormat.ts'
import type { WalSegment } from '../sqlite/walReader.ts'
import { allocateKept } from './slab.ts'

/** Encodes the frames `taken` (indices into `segment`) as one batch message. */
export function encodeBatch(
  body: Omit<Body<'batch'>, 'pages'>,
  segment: WalSegment,
  taken: readonly number[],
): Buffer {
  const pages = taken.length
  const fill = (payload: Buffer) => {
    for (let i = 0; i < pages; i++) {
      payload.writeUInt32LE(segment.pageNumbers[taken[i]], 4 * i)
      payload.set(segment.page(taken[i]), 4 * pages + i * body.pageSize)
    }
  }
  return encode(
    'batch',
    { ...body, pages },
    pagesPayloadBytes(pages, body.pageSize),
    fill,
    allocateKept,
  )
}

/** Bytes of frames to read at once, so that whatever is read fits in one message. */
export function segmentBytes(pageSize: number, batchBytes: number): number {
  return Math.min(batchBytes, MAX_PAGES * frameBytes(pageSize), MAX_PAYLOAD_BYTES)
}

export interface CapturedBatch {
  readonly from: { readonly txid: number; readonly checksum: string }
  readonly txid: number
  readonly checksum: string
  readonly message: Buffer
  readonly last: boolean
  readonly pageNumbers: readonly number[]
  readonly frames: number
  readonly transactions: number
  readonly noticeMs: number
  readonly noticedMs: number
}
