/**
 * Whether a store honours `If-None-Match: *`, by which an object is written only where there is
 * none. Some look over it, some answer 501. It is asked once, before the first object is written:
 * a small object under a name that no object of an archive has is written twice. It stays there,
 * since a store that honours the header then needs one request the next time, and two processes
 * that ask at once do not mislead each other.
 */
import type { S3Client } from './client.ts'

const PROBE_NAME = '.walcast-conditional-writes'
const PROBE = Buffer.from('walcast asks here whether this store honours If-None-Match: *\n')
export const ONLY_NEW = { 'if-none-match': '*' } as const

export class ConditionalWrites {
  readonly #client: S3Client
  readonly #key: string
  #answer: Promise<boolean> | undefined

  /** `keyOf`: the key of what has this name in the archive. */
  constructor(client: S3Client, keyOf: (name: string) => string) {
    this.#client = client
    this.#key = keyOf(PROBE_NAME)
  }

  /** Rejects when the probe cannot be written; the next call asks again. */
  areHonoured(): Promise<boolean> {
    this.#answer ??= this.#ask().catch((error) => {
      this.#answer = undefined
      throw error
    })
    return this.#answer
  }

  async #ask(): Promise<boolean> {
    const first = await this.#put()
    if (first === 412) return true
    if (first >= 400) return false
    return (await this.#put()) === 412
  }

  async #put(): Promise<number> {
    const { status } = await this.#client.ask({
      ...{ method: 'PUT', key: this.#key, body: PROBE, headers: ONLY_NEW },
      purpose: 'write a probe',
      expected: [412, 501, 'NotImplemented', 'InvalidArgument', 'InvalidRequest'],
    })
    return status
  }
}
