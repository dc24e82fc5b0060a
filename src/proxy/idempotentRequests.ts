/**
 * Requests with an Idempotency-Key at the leader: each is executed once, and answered as often as
 * it comes.
 */
import { createHash } from 'node:crypto'
import { keyOf, messageOf, WalcastError } from '../errors.ts'
import { cancelTimer, monotonicMs, setTimer } from '../platform/time.ts'
import type { Client } from './client.ts'
import { firstAttemptOf } from './firstAttempt.ts'
import { headerOf, ofAnswer } from './headers.ts'
import type { IdempotencyStore } from './idempotencyStore.ts'
import type { Execution, StoredAnswer } from './idempotentExecution.ts'
import type { PositionCookie } from './positionCookie.ts'
import type { Answer } from './relayedAnswer.ts'
import type { ReplayableBody } from './replayableBody.ts'

/** A longer key is refused. */
const MAX_KEY_CHARS = 255
/** A larger answer is passed on and not kept. */
const MAX_ANSWER_BYTES = 1024 * 1024
const BROKE_OFF = 'its body broke off'
const NOT_KEPT = 'it was executed, and its answer was a stream or too large to be kept'
const OF_EARLIER = 'it was executed under an earlier leadership, and what it wrote may be lost'

export class IdempotentRequests {
  readonly #memory: IdempotencyStore
  readonly #cookie: PositionCookie
  readonly #recordMs: number

  /** An answer that is not whole after `recordMs` is given up. */
  constructor(memory: IdempotencyStore, cookie: PositionCookie, recordMs: number) {
    this.#memory = memory
    this.#cookie = cookie
    this.#recordMs = recordMs
  }

  /**
   * The request's key, together with what else identifies the same request of the same client;
   * undefined without a key. Throws BAD_REQUEST.
   */
  keyOf(client: Client): string | undefined {
    const { headers } = client.request
    const given = headerOf(client.request, 'idempotency-key')
    if (given === undefined || given === '') return undefined
    if (given.length > MAX_KEY_CHARS)
      throw new WalcastError('BAD_REQUEST', {
        detail: `Idempotency-Key is longer than ${MAX_KEY_CHARS} characters`,
      })
    const whose = [headers.authorization ?? '', this.#cookie.without(headers.cookie ?? '')]
    return digestOf([client.method, client.target, given, ...whose].join('\n'))
  }

  /**
   * Executes the request, or gives the answer that is remembered. `execute` sends the request on
   * with its body, and resolves at the head of the answer. Only another node (`isForwarded`) may
   * say that the request was sent before. Throws KEY_REUSED, OUTCOME_UNKNOWN, TOO_MANY_REQUESTS,
   * BAD_REQUEST, NOT_EXECUTED, and what `execute` throws.
   */
  async run(
    client: Client,
    key: string,
    isForwarded: boolean,
    body: ReplayableBody | undefined,
    execute: () => Promise<Answer>,
  ): Promise<StoredAnswer | Answer> {
    const cameMs = monotonicMs()
    const { leadership } = this.#memory
    const isWhole = body === undefined || (await this.#gather(client, body))
    this.#requireStill(leadership)
    const { client: network, address } = client.origin
    const owner = network ?? address
    for (;;) {
      const waitedMs = monotonicMs() - cameMs
      const first = isForwarded ? firstAttemptOf(client.request, waitedMs) : undefined
      const known = this.#memory.find(key, owner, first)
      if (!known) break
      const answer = await this.#remembered(body, isWhole, known)
      if (answer) return answer
      this.#requireStill(leadership)
    }
    // The client left just now.
    if (body && isWhole && !body.canReplay)
      throw new WalcastError('BAD_REQUEST', { detail: BROKE_OFF })
    const execution = this.#memory.begin(key, owner)
    const hash = createHash('sha256')
    body?.tap((chunk) => void hash.update(chunk))
    const seal = () => {
      execution.bodyHash = hash.copy().digest('hex')
    }
    // The answer may come before the whole request was seen. Its hash is not known then.
    if (isWhole) seal()
    else client.request.once('end', seal)
    try {
      const answer = await execute()
      if (isNotKept(answer)) {
        this.#memory.end(key, { lost: NOT_KEPT })
        return answer
      }
      return await this.#record(key, answer)
    } catch (error) {
      this.#onFailure(key, error)
      throw error
    }
  }

  /** What was executed under this key is part of the state at `txid`. */
  settle(key: string, txid: number): void {
    this.#memory.settle(key, txid)
  }

  /**
   * Whether the whole body is here. A client that breaks off before has executed nothing: not a
   * byte has reached the application, and the key is as it was. Throws BAD_REQUEST then.
   */
  async #gather({ request }: Client, body: ReplayableBody): Promise<boolean> {
    const declaredBytes = Number(request.headers['content-length'] ?? 0)
    return body.gather(declaredBytes).catch((error) => {
      throw new WalcastError('BAD_REQUEST', { detail: `${BROKE_OFF}: ${messageOf(error)}` }, error)
    })
  }

  /**
   * Throws NOT_EXECUTED once another leadership has begun: a request that was let in before must
   * not be executed under it.
   */
  #requireStill(leadership: string): void {
    if (this.#memory.leadership === leadership) return
    throw new WalcastError('NOT_EXECUTED', { detail: 'leadership moved while it waited' })
  }

  /**
   * Undefined when nothing was executed under the key after all, and this request may be. Throws
   * NOT_EXECUTED if its body has passed by then.
   */
  async #remembered(
    body: ReplayableBody | undefined,
    isWhole: boolean,
    known: Execution,
  ): Promise<StoredAnswer | undefined> {
    // A body that was sent to another leader has passed: it cannot be hashed.
    const hasPassed = body?.canReplay === false
    const hash = createHash('sha256')
    if (!hasPassed) body?.tap((chunk) => void hash.update(chunk))
    // A body that breaks off differs from the first one, or no client is left to read the answer.
    if (!isWhole) await body?.drain()
    const ending = await known.ending
    if (ending === 'notExecuted') {
      if (body?.canReplay ?? true) return undefined
      throw new WalcastError('NOT_EXECUTED', { detail: 'the first one was not executed either' })
    }
    if (!hasPassed && known.bodyHash !== undefined && hash.digest('hex') !== known.bodyHash)
      throw new WalcastError('KEY_REUSED')
    if ('lost' in ending) throw new WalcastError('OUTCOME_UNKNOWN', { detail: ending.lost })
    // Asked now and not when the request came: leadership may have moved while the request waited.
    if (!this.#memory.holds(known))
      throw new WalcastError('OUTCOME_UNKNOWN', { detail: OF_EARLIER })
    return ending.answer
  }

  /**
   * Nothing was executed if the application could not be reached. Any other failure leaves that
   * unknown.
   */
  #onFailure(key: string, error: unknown): void {
    const code = keyOf(error)
    if (code === 'APP_UNREACHABLE' || code === 'BAD_REQUEST' || code === 'FORWARD_LOOP')
      this.#memory.cancel(key)
    else this.#memory.end(key, { lost: messageOf(error) })
  }

  /**
   * Takes the whole answer, whether or not the client is still there. An answer that turns out too
   * large is given back, to be passed on.
   */
  #record(key: string, answer: Answer): Promise<StoredAnswer | Answer> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      let bytes = 0
      const timer = setTimer(
        () => answer.abort(new Error('it did not end in time')),
        this.#recordMs,
      )
      answer.pipeTo({
        write: (chunk) => {
          chunks.push(chunk)
          bytes += chunk.length
          if (bytes <= MAX_ANSWER_BYTES) return true
          cancelTimer(timer)
          this.#memory.end(key, { lost: NOT_KEPT })
          answer.unread(chunks)
          resolve(answer)
          return false
        },
        end: () => {
          cancelTimer(timer)
          const { status, statusText, headers } = answer
          const stored = {
            status,
            statusText,
            headers: ofAnswer(headers),
            body: Buffer.concat(chunks),
          }
          this.#memory.end(key, { answer: stored })
          resolve(stored)
        },
        fail: (error) => {
          cancelTimer(timer)
          reject(new WalcastError('OUTCOME_UNKNOWN', { detail: messageOf(error) }, error))
        },
      })
    })
  }
}

/** An answer that may never end, or is too large to keep: it is passed on as it comes. */
function isNotKept(answer: Answer): boolean {
  const length = answer.header('content-length')
  if (length !== undefined) return Number(length) > MAX_ANSWER_BYTES
  return answer.isEventStream
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64')
}
