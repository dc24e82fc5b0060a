/**
 * An object of an S3 store that is read in ranges. The store is told which version is meant
 * (`If-Match`), and what it answers is compared: an object that was replaced meanwhile is noticed,
 * also where a store looks over that header.
 */
import { WalcastError } from '../../../errors.ts'
import type { OpenObject } from '../store.ts'
import type { S3Client, S3Reply } from './client.ts'
import { brokenAnswer } from './failures.ts'
import { isListed } from './listing.ts'

export interface ObjectHead {
  readonly bytes: number
  readonly etag: string
  /** Who wrote it (WRITER_HEADER), if that is known. */
  readonly writer: string | undefined
}

/** Metadata with an id of the one `create` that wrote the object. */
export const WRITER_HEADER = 'x-amz-meta-walcast-writer'
/** The most bytes of one range: they need to come within the limit of a request. */
const MAX_RANGE_BYTES = 8 * 1024 ** 2
const ETAG = /^"[\x21\x23-\x7e]{1,200}"$/

/** Undefined when there is no such object. */
export async function headOf(
  client: S3Client,
  name: string,
  key: string,
): Promise<ObjectHead | undefined> {
  const purpose = `open ${name}`
  const reply = await client.ask({ method: 'HEAD', key, purpose, expected: [403, 404] })
  if (await isGone(client, key, purpose, reply)) return undefined
  const bytes = reply.header('content-length') ?? ''
  const etag = reply.header('etag') ?? ''
  if (!/^\d{1,15}$/.test(bytes) || !ETAG.test(etag))
    throw brokenAnswer(client.place.name, purpose, 'it has no length or no ETag')
  return { bytes: Number(bytes), etag, writer: reply.header(WRITER_HEADER) }
}

/** Throws ARCHIVE_MISSING. */
export async function openStoredObject(
  client: S3Client,
  name: string,
  key: string,
): Promise<OpenObject> {
  const head = await headOf(client, name, key)
  if (!head) throw missing(client, name)
  return {
    name: `${client.place.name}: ${name}`,
    bytes: head.bytes,
    read: (at, bytes) => readRanges(client, name, key, head, at, bytes),
    close: async () => {},
  }
}

async function readRanges(
  client: S3Client,
  name: string,
  key: string,
  head: ObjectHead,
  at: number,
  bytes: number,
): Promise<Buffer> {
  if (at + bytes > head.bytes) throw broken(name, 'it was cut off')
  const pieces: Buffer[] = []
  for (let done = 0; done < bytes; ) {
    const next = Math.min(bytes - done, MAX_RANGE_BYTES)
    pieces.push(await readRange(client, name, key, head, at + done, next))
    done += next
  }
  return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces, bytes)
}

async function readRange(
  client: S3Client,
  name: string,
  key: string,
  { bytes: whole, etag }: ObjectHead,
  at: number,
  bytes: number,
): Promise<Buffer> {
  const purpose = `read ${name}`
  const range = `${at}-${at + bytes - 1}`
  const reply = await client.ask({
    ...{ method: 'GET', key, purpose, maxBytes: bytes },
    headers: { range: `bytes=${range}`, 'if-match': etag },
    expected: [403, 404, 412, 416],
  })
  if (await isGone(client, key, purpose, reply)) throw missing(client, name)
  if (reply.status === 412 || reply.status === 416 || reply.header('etag') !== etag)
    throw broken(name, 'it was replaced while it was read')
  if (!isThisRange(reply, `bytes ${range}/${whole}`, bytes === whole))
    throw brokenAnswer(client.place.name, purpose, 'it gives other bytes than it was asked for')
  if (reply.body.length !== bytes)
    throw brokenAnswer(client.place.name, purpose, 'it gives fewer bytes than it says')
  return reply.body
}

/**
 * Whether there is no such object. S3 answers 403 in place of 404 to keys that may list only a
 * prefix, so a list of that prefix decides. Throws STORE_REFUSED when the object may not be read.
 */
async function isGone(
  client: S3Client,
  key: string,
  purpose: string,
  reply: S3Reply,
): Promise<boolean> {
  if (reply.status !== 403) return reply.status === 404
  if (await isListed(client, key, purpose)) throw client.refusal(purpose, reply)
  return true
}

function isThisRange({ status, header }: S3Reply, range: string, isWhole: boolean): boolean {
  return status === 206 ? header('content-range') === range : status === 200 && isWhole
}

function missing({ place }: S3Client, name: string): WalcastError {
  return new WalcastError('ARCHIVE_MISSING', { name, store: place.name })
}

function broken(name: string, detail: string): WalcastError {
  return new WalcastError('ARCHIVE_BROKEN', { name, detail })
}
