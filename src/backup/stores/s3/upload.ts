/**
 * Writes one object: whole in one request, or in parts when it is larger than one. An object of
 * parts is there once they are joined, and not before.
 *
 * An answer can be lost. The object carries an id of this upload, so that a later "there is one
 * already" can be told apart: it may be this very object. What is never known is whether a request
 * that no attempt had an answer for is carried out later. The caller has an error then, and may
 * find the whole object there when it tries again, as after a crash of its own.
 */
import { WalcastError } from '../../../errors.ts'
import { randomBytes } from '../../../platform/random.ts'
import type { Question, S3Client, S3Reply } from './client.ts'
import { ONLY_NEW } from './conditionalWrites.ts'
import { brokenAnswer } from './failures.ts'
import { named, parsed } from './listing.ts'
import { PartBuffer } from './partBuffer.ts'
import { headOf, WRITER_HEADER } from './storedObject.ts'
import { escapeXml, neededText, readXml } from './xml.ts'

const MAX_PARTS = 10_000
const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'
const END_OF_PARTS = '</CompleteMultipartUpload>'
/** What an answer holds that begins or joins an upload. */
const MAX_ANSWER_BYTES = 64 * 1024
/** Stands in queries and in XML. */
const UPLOAD_ID = /^[\x21-\x7e]{1,1024}$/
const ETAG = /^[\x20-\x7e]{1,200}$/

/** `append` rejects with it when there is one already, so that nothing more is made for it. */
class AlreadyThere extends Error {}

export interface UploadParts {
  readonly client: S3Client
  readonly name: string
  readonly key: string
  /** Whether the store honours `If-None-Match: *`. */
  readonly isConditional: boolean
  /** Called before an upload in parts begins. */
  readonly beforeParts: () => Promise<void>
}

export class S3Upload {
  readonly #parts: UploadParts
  readonly #writer = randomBytes(16).toString('hex')
  readonly #buffer: PartBuffer
  readonly #etags: string[] = []
  #bytes = 0
  /** What an `append` rejected with: the object will not be whole. */
  #failure: unknown
  /** Of an upload in parts. */
  #uploadId: string | undefined

  constructor(parts: UploadParts) {
    this.#parts = parts
    this.#buffer = new PartBuffer(parts.client.limits.partBytes)
  }

  /** Whether it was given up since an object of this name is there. */
  get isTaken(): boolean {
    return this.#failure instanceof AlreadyThere
  }

  /** Throws what S3Client.ask throws, and rejects when `isTaken`. */
  async append(bytes: Uint8Array): Promise<void> {
    try {
      await this.#append(bytes)
    } catch (error) {
      this.#failure ??= error
      throw error
    }
  }

  /** False when an object of this name was there before. Throws what S3Client.ask throws. */
  async finish(): Promise<boolean> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#uploadId !== undefined) await this.#sendPart()
    if (!this.#parts.isConditional && (await this.#head())) return this.#givesUp()
    return this.#uploadId === undefined ? this.#putWhole() : this.#joinParts(this.#uploadId)
  }

  /** Never rejects: what it cannot end is ended a day later (`oldUploads.ts`). */
  async abort(): Promise<void> {
    const uploadId = this.#uploadId
    this.#uploadId = undefined
    if (uploadId === undefined) return
    const { client, name, key } = this.#parts
    await client
      .ask({
        ...{ method: 'DELETE', key, query: { uploadId } },
        purpose: `give up ${name}`,
        expected: [404],
      })
      .catch(() => {})
  }

  async #append(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      // A full buffer is sent when more comes, so that the last part has the last bytes.
      if (this.#buffer.isFull) await this.#sendPart()
      done += this.#buffer.take(bytes.subarray(done))
    }
    this.#bytes += bytes.length
  }

  async #putWhole(): Promise<boolean> {
    const { key, isConditional } = this.#parts
    const reply = await this.#ask({
      ...{ method: 'PUT', key, body: this.#buffer.bytes },
      headers: { [WRITER_HEADER]: this.#writer, ...(isConditional ? ONLY_NEW : {}) },
      expected: isConditional ? [412] : [],
    })
    return reply.status !== 412 || (reply.isUnsure && (await this.#isOurs()))
  }

  async #sendPart(): Promise<void> {
    this.#uploadId ??= await this.#begin()
    const number = this.#etags.length + 1
    if (number > MAX_PARTS)
      throw new WalcastError('WRITE_FAILED', {
        path: this.#parts.name,
        detail: `it is larger than ${MAX_PARTS} parts, which is what S3 stores take`,
      })
    const reply = await this.#ask({
      ...{ method: 'PUT', key: this.#parts.key, body: this.#buffer.bytes },
      query: { partNumber: String(number), uploadId: this.#uploadId },
    })
    const etag = reply.header('etag') ?? ''
    if (!ETAG.test(etag)) throw this.#broken('a part has no ETag')
    this.#etags.push(etag)
    this.#buffer.empty()
  }

  async #begin(): Promise<string> {
    const { client, key, beforeParts } = this.#parts
    await beforeParts()
    if (await this.#head()) throw new AlreadyThere()
    const { body } = await this.#ask({
      ...{ method: 'POST', key, query: { uploads: '' }, maxBytes: MAX_ANSWER_BYTES },
      headers: { [WRITER_HEADER]: this.#writer },
    })
    return parsed(client, this.#purpose, () => {
      const root = named(readXml(body), 'InitiateMultipartUploadResult')
      const uploadId = neededText(root, 'UploadId')
      if (!UPLOAD_ID.test(uploadId)) throw new Error('an upload has a strange id')
      return uploadId
    })
  }

  async #joinParts(uploadId: string): Promise<boolean> {
    const { isConditional } = this.#parts
    let reply = await this.#join(uploadId, isConditional)
    // It honours the header for whole objects only. Whether there is one was asked just now.
    if (reply.status === 501) {
      if (await this.#head()) return this.#givesUp()
      reply = await this.#join(uploadId, false)
    }
    if (reply.status < 300) return this.#isJoined()
    const head = await this.#head()
    if (!head) throw this.#broken(`its parts are gone (${reply.status})`)
    return head.writer === this.#writer ? this.#isJoined() : this.#givesUp()
  }

  #join(uploadId: string, isConditional: boolean): Promise<S3Reply> {
    const parts = this.#etags.map(
      (etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`,
    )
    const xml = `<CompleteMultipartUpload xmlns="${NAMESPACE}">${parts.join('')}${END_OF_PARTS}`
    return this.#ask({
      ...{ method: 'POST', key: this.#parts.key, query: { uploadId }, body: Buffer.from(xml) },
      headers: { 'content-type': 'application/xml', ...(isConditional ? ONLY_NEW : {}) },
      maxBytes: MAX_ANSWER_BYTES,
      expected: isConditional ? [404, 412, 501] : [404],
    })
  }

  /** The object has all bytes, which the store has not said until now. */
  async #isJoined(): Promise<boolean> {
    this.#uploadId = undefined
    const head = await this.#head()
    if (head?.writer !== this.#writer || head.bytes === this.#bytes) return true
    const { client, key } = this.#parts
    await client.ask({ method: 'DELETE', key, purpose: this.#purpose, expected: [404] })
    throw this.#broken(`the object has ${head.bytes} of ${this.#bytes} bytes, and was removed`)
  }

  async #givesUp(): Promise<false> {
    await this.abort()
    return false
  }

  async #isOurs(): Promise<boolean> {
    return (await this.#head())?.writer === this.#writer
  }

  #head(): ReturnType<typeof headOf> {
    const { client, name, key } = this.#parts
    return headOf(client, name, key)
  }

  get #purpose(): string {
    return `write ${this.#parts.name}`
  }

  #ask(question: Omit<Question, 'purpose'>): Promise<S3Reply> {
    return this.#parts.client.ask({ ...question, purpose: this.#purpose })
  }

  #broken(detail: string): WalcastError {
    return brokenAnswer(this.#parts.client.place.name, this.#purpose, detail)
  }
}
