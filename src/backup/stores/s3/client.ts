/**
 * Asks an S3 store, and asks again after failures that may pass: a bounded number of times within a
 * bounded time, with pauses that grow and differ from one client to the next.
 *
 * A request whose answer was lost may have been carried out. Its answer says so (`isUnsure`), and
 * whoever asked decides what that means.
 */
import type { WalcastError } from '../../../errors.ts'
import { Backoff } from '../../../platform/backoff.ts'
import { delay, monotonicMs, wallMs } from '../../../platform/time.ts'
import type { Answer } from './answer.ts'
import type { S3Credentials, S3Keys } from './credentials.ts'
import {
  answerFailure,
  isFinal,
  mayPass,
  type Purpose,
  silenceFailure,
  wantsOtherKeys,
} from './failures.ts'
import type { S3Place } from './place.ts'
import {
  type Dispatcher,
  newConnections,
  type S3Request,
  sendRequest,
  signRequest,
} from './signedRequest.ts'

export interface S3Limits {
  /** For a connection, in milliseconds. */
  readonly connectMs: number
  /** For one attempt, from the connection to the last byte of the answer, in milliseconds. */
  readonly requestMs: number
  /** The most attempts of one request. */
  readonly attempts: number
  /** No further attempt begins after so many milliseconds. */
  readonly totalMs: number
  /** The pause after the first attempt, and the longest, in milliseconds. */
  readonly minPauseMs: number
  readonly maxPauseMs: number
  /** What is held in memory of an object that is written. A larger one is sent in such parts. */
  readonly partBytes: number
  /** The most pages of a list, of 1000 objects each. */
  readonly listPages: number
}

export const S3_LIMITS: S3Limits = {
  connectMs: 10_000,
  // A part in that time needs 140 KB/s.
  requestMs: 60_000,
  attempts: 8,
  totalMs: 180_000,
  minPauseMs: 200,
  maxPauseMs: 10_000,
  // S3 wants at least 5 MiB, and has at most 10,000 parts.
  partBytes: 8 * 1024 ** 2,
  // Two million files: a week of those that are written twice a second, and as many again.
  listPages: 2000,
}

export interface S3Reply extends Answer {
  /** An earlier attempt may have been carried out though no answer of it came. */
  readonly isUnsure: boolean
}

export interface Question extends S3Request {
  readonly purpose: Purpose
  /** Statuses and codes that are answers, beside 200 to 299. */
  readonly expected?: readonly (number | string)[]
  /** For one attempt, in place of the limit of all requests where it is less, in milliseconds. */
  readonly withinMs?: number
}

/** S3 takes signatures within 15 minutes. */
const SKEW_MS = 5 * 60_000
/** No clock of a server moves ours further: a signature for a far day would be good on that day. */
const MAX_SKEW_MS = 24 * 3600_000

export class S3Client {
  readonly place: S3Place
  readonly limits: S3Limits
  readonly #credentials: S3Credentials
  readonly #connections: Dispatcher
  /** The store's clock less ours. */
  #skewMs = 0

  constructor(place: S3Place, credentials: S3Credentials, limits: S3Limits = S3_LIMITS) {
    this.place = place
    this.limits = limits
    this.#connections = newConnections(limits.connectMs)
    this.#credentials = credentials
  }

  /**
   * The answer, once its status is 200 to 299 or an expected one. Throws STORE_UNREACHABLE,
   * STORE_REFUSED or STORE_BROKEN.
   */
  async ask(question: Question): Promise<S3Reply> {
    const { attempts, totalMs, minPauseMs, maxPauseMs } = this.limits
    const { purpose } = question
    const backoff = new Backoff(minPauseMs, maxPauseMs)
    const beganMs = monotonicMs()
    let isUnsure = false
    for (let attempt = 1; ; attempt++) {
      const keys = this.#credentials.keys
      const outcome = await this.#attempt(question, keys)
      const isLast = attempt >= attempts || monotonicMs() - beganMs >= totalMs
      if (outcome instanceof NoAnswer) {
        if (isLast || isFinal(outcome.cause))
          throw silenceFailure(this.place.name, purpose, outcome.cause, attempt)
        isUnsure = true
      } else {
        if (isDone(outcome)) return { ...outcome, isUnsure }
        // After the last attempt too: the next request is the better for it.
        const isCured = this.#isCured(outcome, keys) && !isLast
        if (!isCured && isExpected(outcome, question)) return { ...outcome, isUnsure }
        if (isLast || !(isCured || mayPass(outcome)))
          throw answerFailure(this.place.name, purpose, outcome, attempt)
        isUnsure ||= outcome.status >= 500
        if (isCured) continue
      }
      await delay(backoff.nextMs())
    }
  }

  /** What people read of an answer that was expected, and is a failure after all. */
  refusal(purpose: Purpose, answer: Answer): WalcastError {
    return answerFailure(this.place.name, purpose, answer, 1)
  }

  /** Ends all connections, and every request with them. */
  close(): Promise<void> {
    return this.#connections.destroy()
  }

  async #attempt(question: Question, keys: S3Keys): Promise<Answer | NoAnswer> {
    const { withinMs = Infinity } = question
    const limitMs = Math.min(withinMs, this.limits.requestMs)
    const signed = await signRequest(question, this.place, keys, wallMs() + this.#skewMs)
    try {
      return await sendRequest(question, signed, this.#connections, limitMs)
    } catch (error) {
      return new NoAnswer(error)
    }
  }

  /** Whether the clock or other keys are a reason to ask again at once. */
  #isCured(answer: Answer, keys: S3Keys): boolean {
    if (this.#followClock(answer)) return true
    return wantsOtherKeys(answer) && this.#credentials.renew(keys)
  }

  /** HEAD has no body to name the failure, so the clock alone decides there. */
  #followClock({ status, code, header }: Answer): boolean {
    if (status !== 403 || !['', 'RequestTimeTooSkewed', 'RequestExpired'].includes(code))
      return false
    const skewMs = Date.parse(header('date') ?? '') - wallMs()
    const isFar = Math.abs(skewMs - this.#skewMs) > SKEW_MS
    if (!isFar || !(Math.abs(skewMs) <= MAX_SKEW_MS)) return false
    this.#skewMs = skewMs
    return true
  }
}

class NoAnswer {
  readonly cause: unknown
  constructor(cause: unknown) {
    this.cause = cause
  }
}

const isDone = ({ status }: Answer) => status >= 200 && status < 300

/** A bucket that is not there is never the answer that an object is not there. */
function isExpected({ status, code }: Answer, { expected = [] }: Question): boolean {
  return code !== 'NoSuchBucket' && (expected.includes(status) || expected.includes(code))
}
