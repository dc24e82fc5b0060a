/**
 * What leases need of an object store: small objects that are read whole, and written under a
 * condition. `S3Objects` asks an S3 store. Each request is one attempt that ends in time: the next
 * renewal is a better second attempt than a retry, since it carries a later time.
 *
 * Every failure is ELECTION_AWAY. A write that failed so may have been carried out, or may still
 * be: a request that waits somewhere on its way is out of reach.
 */
import { S3Client, type S3Reply } from '../../../backup/stores/s3/client.ts'
import { S3Credentials } from '../../../backup/stores/s3/credentials.ts'
import { parsed } from '../../../backup/stores/s3/listing.ts'
import { parseS3Place } from '../../../backup/stores/s3/place.ts'
import type { S3Request } from '../../../backup/stores/s3/signedRequest.ts'
import { messageOf, WalcastError } from '../../../errors.ts'
import { inTime } from '../../../platform/inTime.ts'
import { monotonicMs } from '../../../platform/time.ts'
import { type ListedNote, listedNotes } from './noteList.ts'

/** When a call has to have ended, by `monotonicMs()`. */
export type UntilMs = number

export interface StoredText {
  readonly text: string
  /** Another one after each write. */
  readonly etag: string
}

/** `anyhow`: unconditional. `new`: there is no such object. Else: the object has this ETag. */
export type Condition = 'anyhow' | 'new' | { readonly etag: string }

/** All throw ELECTION_AWAY. Names are without the prefix of the cluster. */
export interface ElectionObjects {
  /** For people. */
  readonly name: string
  /** Undefined when there is no such object. One of more than `maxBytes` is a failure. */
  read(name: string, maxBytes: number, until: UntilMs): Promise<StoredText | undefined>
  /** The new ETag; undefined when the condition does not hold, and nothing was written. */
  write(
    name: string,
    text: string,
    condition: Condition,
    until: UntilMs,
  ): Promise<string | undefined>
  remove(name: string, until: UntilMs): Promise<void>
  /** Objects whose names begin with `prefix`: the first 1000 of them by name. */
  list(prefix: string, until: UntilMs): Promise<readonly ListedNote[]>
  close(): Promise<void>
}

/** As `headOf` of an archive's objects has it: a strong one, since a weak one proves nothing. */
const ETAG = /^"[\x21\x23-\x7e]{1,200}"$/
/** What stores answer in place of 412: the object is gone, or another writer is at it. */
const CONDITION_FAILED = [404, 412, 'ConditionalRequestConflict']
/** 1000 objects with keys of 1024 bytes, each byte written as a reference at worst. */
const MAX_LIST_BYTES = 8 * 1024 ** 2

export class S3Objects implements ElectionObjects {
  readonly name: string
  readonly #client: S3Client
  /** Ends with a slash. */
  readonly #prefix: string

  /**
   * `prefix`: of the cluster, within `place`. Keys come from the environment. Throws STORE_PLACE,
   * STORE_KEYS or SECRET_SHARED.
   */
  constructor(
    place: string,
    prefix: string,
    timeoutMs: number,
    environment: NodeJS.ProcessEnv = process.env,
  ) {
    const parsedPlace = parseS3Place(place, environment)
    this.name = parsedPlace.name
    this.#prefix = [parsedPlace.prefix, prefix].flatMap((part) => part && `${part}/`).join('')
    this.#client = new S3Client(parsedPlace, new S3Credentials(environment), {
      ...{ connectMs: timeoutMs, requestMs: timeoutMs, attempts: 1, totalMs: timeoutMs },
      ...{ minPauseMs: 0, maxPauseMs: 0, partBytes: 0, listPages: 1 },
    })
  }

  async read(name: string, maxBytes: number, until: UntilMs): Promise<StoredText | undefined> {
    const purpose = `read ${name}`
    const reply = await this.#ask(
      { method: 'GET', ...this.#at(name), maxBytes },
      purpose,
      until,
      [404],
    )
    if (reply.status === 404) return undefined
    return { text: reply.body.toString(), etag: this.#etagOf(reply, purpose) }
  }

  async write(
    name: string,
    text: string,
    condition: Condition,
    until: UntilMs,
  ): Promise<string | undefined> {
    const purpose = `write ${name}`
    const request = { method: 'PUT', ...this.#at(name), body: Buffer.from(text) } as const
    const isConditional = condition !== 'anyhow'
    const reply = await this.#ask(
      { ...request, headers: headersOf(condition) },
      purpose,
      until,
      isConditional ? CONDITION_FAILED : [],
    )
    return isDone(reply) ? this.#etagOf(reply, purpose) : undefined
  }

  async remove(name: string, until: UntilMs): Promise<void> {
    await this.#ask({ method: 'DELETE', ...this.#at(name) }, `remove ${name}`, until, [404])
  }

  async list(prefix: string, until: UntilMs): Promise<readonly ListedNote[]> {
    const whole = this.#prefix + prefix
    const query = { 'list-type': '2', prefix: whole }
    const purpose = `list ${prefix}`
    const request = { method: 'GET', key: '', query, maxBytes: MAX_LIST_BYTES } as const
    const { body, header } = await this.#ask(request, purpose, until, [])
    const nowMs = Date.parse(header('date') ?? '')
    return await this.#orAway(async () =>
      parsed(this.#client, purpose, () => listedNotes(body, this.#prefix, nowMs)),
    )
  }

  close(): Promise<void> {
    return this.#client.close()
  }

  #at(name: string): { readonly key: string } {
    return { key: this.#prefix + name }
  }

  async #ask(
    request: S3Request,
    purpose: string,
    until: UntilMs,
    expected: readonly (number | string)[],
  ): Promise<S3Reply> {
    const withinMs = Math.ceil(until - monotonicMs())
    if (withinMs <= 0) throw away(this.name, `${purpose}: no answer in time`)
    const question = { ...request, purpose, expected, withinMs }
    // A request that waits for a connection does not hear its limit.
    const reply = await this.#orAway(() => inTime(this.#client.ask(question), until))
    if (!reply) throw away(this.name, `${purpose}: no answer in time`)
    return reply.value
  }

  async #orAway<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw away(this.name, detailOf(error), error)
    }
  }

  #etagOf({ header }: S3Reply, purpose: string): string {
    const etag = header('etag') ?? ''
    if (!ETAG.test(etag)) throw away(this.name, `${purpose}: the answer has no strong ETag`)
    return etag
  }
}

export function away(service: string, detail: string, cause?: unknown): WalcastError {
  return new WalcastError('ELECTION_AWAY', { service, detail }, cause)
}

const isDone = ({ status }: S3Reply) => status >= 200 && status < 300

function headersOf(condition: Condition): Record<string, string> {
  if (condition === 'anyhow') return {}
  return condition === 'new' ? { 'if-none-match': '*' } : { 'if-match': condition.etag }
}

/** Without what the errors of an archive say about archives. */
function detailOf(error: unknown): string {
  if (!(error instanceof WalcastError)) return messageOf(error)
  const { detail, what, advice } = error.details
  if (what === undefined) return String(detail ?? error.message)
  return `it refuses to ${what}; ${advice}`
}
