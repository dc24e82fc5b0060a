/**
 * Ends uploads that writers of this archive have begun and that died: their parts cost money and no
 * list of objects shows them. At most once a day, and only those that are older than a day.
 */
import { wallMs } from '../../../platform/time.ts'
import { isObjectName } from '../store.ts'
import type { S3Client } from './client.ts'
import { type BegunUpload, listUploads } from './listing.ts'

const UPLOAD_LIFE_MS = 86_400_000
/** More of them are left for the next day. */
const MAX_ENDED = 100

export class OldUploads {
  readonly #client: S3Client
  readonly #prefix: string
  #sweptAtMs: number | undefined

  /** `prefix`: what all keys of the archive begin with; ends with a slash unless it is ''. */
  constructor(client: S3Client, prefix: string) {
    this.#client = client
    this.#prefix = prefix
  }

  /** Never rejects: a store without such a list, or keys without the right to it, is no reason. */
  async end(): Promise<void> {
    const nowMs = wallMs()
    if (this.#sweptAtMs !== undefined && Math.abs(nowMs - this.#sweptAtMs) < UPLOAD_LIFE_MS) return
    this.#sweptAtMs = nowMs
    try {
      const begun = await listUploads(this.#client, this.#prefix)
      const old = begun.filter((upload) => this.#isOld(upload, nowMs)).slice(0, MAX_ENDED)
      for (const upload of old) await this.#end(upload)
    } catch {}
  }

  #isOld({ key, begunMs }: BegunUpload, nowMs: number): boolean {
    return isObjectName(key.slice(this.#prefix.length)) && nowMs - begunMs > UPLOAD_LIFE_MS
  }

  async #end({ key, uploadId }: BegunUpload): Promise<void> {
    await this.#client.ask({
      ...{ method: 'DELETE', key, query: { uploadId } },
      purpose: 'end an unfinished upload',
      expected: [404],
    })
  }
}
