/**
 * Whether a store does what leases need. Some look over conditions, some refuse them, and some
 * look first and write then, so that two writers at once both succeed. So a small object of this
 * probe's own is written as the object of a lease is, and by several writers at once.
 *
 * A probe that finds nothing proves nothing: it is to find the stores that cannot do it.
 */
import { keyOf, WalcastError } from '../../../errors.ts'
import { randomBytes } from '../../../platform/random.ts'
import { monotonicMs } from '../../../platform/time.ts'
import type { Condition, ElectionObjects, StoredText } from './electionObjects.ts'

const NAME_BYTES = 12
const MAX_PROBE_BYTES = 1024
/** At once; not more than the connections that a client has. */
const RIVALS = 4
const WRONG: Condition = { etag: '"00000000000000000000000000000000"' }

/** `timeoutMs`: for each request. Throws ELECTION_UNFIT, or ELECTION_AWAY. */
export async function probeObjects(objects: ElectionObjects, timeoutMs: number): Promise<void> {
  await new Probe(objects, timeoutMs).run()
}

class Probe {
  readonly #objects: ElectionObjects
  readonly #timeoutMs: number
  /** Two nodes that probe at once do not meet. */
  readonly #name = `probe/${randomBytes(NAME_BYTES).toString('hex')}`
  #writes = 0

  constructor(objects: ElectionObjects, timeoutMs: number) {
    this.#objects = objects
    this.#timeoutMs = timeoutMs
  }

  async run(): Promise<void> {
    const first = await this.#writeAnyhow()
    try {
      await this.#refuses('new', 'If-None-Match: * over an object that is there')
      await this.#refuses(WRONG, 'If-Match with a wrong ETag')
      const second = await this.#oneOf({ etag: first }, 'If-Match')
      await this.#refuses({ etag: first }, 'If-Match with the ETag before')
      // Only for the rights: a list may be behind.
      await this.#objects.list(this.#name, this.#until())
      await this.#remove()
      if (await this.#read()) throw this.#unfit('a read gives what was removed')
      await this.#refuses({ etag: second }, 'If-Match over an object that is gone')
      await this.#oneOf('new', 'If-None-Match: *')
    } finally {
      // What went wrong is said already, and otherwise a small object is left.
      await this.#remove().catch(() => undefined)
    }
  }

  /** All write at once; one of them has to win, and its object has to be there. */
  async #oneOf(condition: Condition, header: string): Promise<string> {
    const texts = Array.from({ length: RIVALS }, () => this.#nextText())
    const etags = await Promise.all(texts.map((text) => this.#write(text, condition)))
    const winners = etags.flatMap((etag, i) => (etag === undefined ? [] : [{ etag, i }]))
    const [winner] = winners
    if (winners.length > 1)
      throw this.#unfit(`of ${RIVALS} writes at once with ${header} several succeed`)
    if (!winner) throw this.#unfit(`of ${RIVALS} writes at once with ${header} none succeeds`)
    const read = await this.#read()
    if (read?.text !== texts[winner.i])
      throw this.#unfit('a read does not give what was written last')
    if (read.etag !== winner.etag)
      throw this.#unfit('a read gives another ETag than the write before it')
    return winner.etag
  }

  async #refuses(condition: Condition, what: string): Promise<void> {
    const etag = await this.#write(this.#nextText(), condition)
    if (etag !== undefined) throw this.#unfit(`it carries out a write with ${what}`)
  }

  async #writeAnyhow(): Promise<string> {
    const { name } = this.#objects
    const etag = await this.#objects.write(this.#name, this.#nextText(), 'anyhow', this.#until())
    if (etag === undefined) throw unfit(name, 'it does not carry out a plain write')
    return etag
  }

  async #write(text: string, condition: Condition): Promise<string | undefined> {
    try {
      return await this.#objects.write(this.#name, text, condition, this.#until())
    } catch (error) {
      // A plain write was carried out, so it is the condition that it does not take.
      if (error instanceof Error && keyOf(error.cause) === 'STORE_REFUSED')
        throw this.#unfit(`it refuses conditional writes: ${detailOf(error)}`)
      throw error
    }
  }

  #read(): Promise<StoredText | undefined> {
    return this.#objects.read(this.#name, MAX_PROBE_BYTES, this.#until())
  }

  #remove(): Promise<void> {
    return this.#objects.remove(this.#name, this.#until())
  }

  #until(): number {
    return monotonicMs() + this.#timeoutMs
  }

  #nextText(): string {
    return `walcast asks here whether this store is fit for leases, ${++this.#writes}\n`
  }

  #unfit(detail: string): WalcastError {
    return unfit(this.#objects.name, detail)
  }
}

function unfit(service: string, detail: string): WalcastError {
  return new WalcastError('ELECTION_UNFIT', { service, detail })
}

function detailOf(error: Error): string {
  return error instanceof WalcastError ? String(error.details['detail']) : error.message
}
