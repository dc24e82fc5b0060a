/**
 * Hears from etcd when the lease or the value changes.
 *
 * A watch begins at the present, and the node looks once when it has begun. So nothing is missed
 * between two watches, whatever became of etcd meanwhile: restarted empty, restored, compacted.
 * No revision is remembered.
 *
 * A connection may be dead and tell nothing. So a watch that hears nothing is made anew after a
 * while, and at once when calls have left its member.
 *
 * ```text
 * opening --all keys begun--> listening --silent for long, member left--> opening
 *    \                            \
 *     \--refused, too late         \--ended, cancelled, wrong line--> pausing --> opening
 *      \--> pausing --> opening at the next member
 * ```
 */
import { Backoff } from '../../../platform/backoff.ts'
import { random } from '../../../platform/random.ts'
import { cancelTimer, delay, setTimer, type Timer } from '../../../platform/time.ts'
import { type EtcdMessage, isJson, readMessage, readMessages, WrongAnswer } from './etcdAnswers.ts'
import { readText } from './etcdEndpoint.ts'
import type { EtcdGateway } from './etcdGateway.ts'
import { watchOf } from './etcdRequests.ts'

export interface EtcdWatchSetup {
  /** In base64. */
  readonly keys: readonly string[]
  /** A watch that hears nothing for so long is made anew, ms. */
  readonly silentMs: number
  /** Until a watch has begun, ms. */
  readonly timeoutMs: number
}

const PAUSE_MIN_MS = 100
const PAUSE_MAX_MS = 2_000
/** Several changes may come in one message, each with the value. */
const MAX_LINE_BYTES = 256 * 1024

/** Never rejects; ends when `signal` aborts. */
export async function watchEtcd(
  gateway: EtcdGateway,
  setup: EtcdWatchSetup,
  onChange: () => void,
  signal: AbortSignal,
): Promise<void> {
  const pauses = new Backoff(PAUSE_MIN_MS, PAUSE_MAX_MS)
  let skipped = 0
  while (!signal.aborted && !gateway.isClosed) {
    const watch = new OneWatch(gateway, setup, onChange, signal)
    const failure = await watch.run(gateway.preferred.at + skipped)
    if (watch.hasBegun) {
      pauses.reset()
      skipped = 0
    }
    if (failure === undefined || signal.aborted || gateway.isClosed) continue
    gateway.renewTokenAfter(failure)
    if (!watch.hasBegun) skipped++
    // Changes cannot be heard now; a look may still see them.
    onChange()
    await delay(pauses.nextMs(), { signal, ref: false }).catch(() => {})
  }
}

class OneWatch {
  readonly #gateway: EtcdGateway
  readonly #setup: EtcdWatchSetup
  readonly #onChange: () => void
  readonly #signal: AbortSignal
  readonly #end = new AbortController()
  #begun = 0
  #isEndedQuietly = false
  #timer: Timer | undefined

  constructor(
    gateway: EtcdGateway,
    setup: EtcdWatchSetup,
    onChange: () => void,
    signal: AbortSignal,
  ) {
    this.#gateway = gateway
    this.#setup = setup
    this.#onChange = onChange
    this.#signal = signal
  }

  get hasBegun(): boolean {
    return this.#begun === this.#setup.keys.length
  }

  /** Undefined when another watch is to begin at once; else why this one has ended. */
  async run(at: number): Promise<unknown> {
    const { left } = this.#gateway.preferred
    const { signal } = this.#end
    const quiet = () => this.#endQuietly()
    this.#signal.addEventListener('abort', quiet)
    left.addEventListener('abort', quiet)
    try {
      this.#endAfter(this.#setup.timeoutMs, () => this.#end.abort(new Error('no answer in time')))
      const request = watchOf(this.#setup.keys)
      const { status, contentType, body } = await this.#gateway.stream(at, request, signal)
      if (status !== 200 || !isJson(contentType))
        readMessages(status, contentType, await readText(body))
      for await (const line of linesOf(body)) this.#hear(readMessage(line, status))
      return new Error('it ended')
    } catch (error) {
      return this.#isEndedQuietly ? undefined : error
    } finally {
      cancelTimer(this.#timer)
      this.#signal.removeEventListener('abort', quiet)
      left.removeEventListener('abort', quiet)
      this.#end.abort()
    }
  }

  #hear(message: EtcdMessage): void {
    const { created, canceled, cancel_reason: reason, events } = message
    if (canceled === true) throw new WrongAnswer(`the watch was cancelled: ${String(reason)}`)
    const hadBegun = this.hasBegun
    if (created === true) this.#begun++
    if (this.hasBegun && (!hadBegun || Array.isArray(events))) this.#onChange()
    if (this.hasBegun) this.#endWhenSilent()
  }

  #endWhenSilent(): void {
    const { silentMs } = this.#setup
    // Those of many nodes are not made anew at one moment.
    this.#endAfter(silentMs * (0.75 + random() / 4), () => this.#endQuietly())
  }

  #endAfter(delayMs: number, end: () => void): void {
    cancelTimer(this.#timer)
    this.#timer = setTimer(end, delayMs).unref()
  }

  #endQuietly(): void {
    this.#isEndedQuietly = true
    this.#end.abort()
  }
}

async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let pieces: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream) {
    let begin = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, begin)) {
      pieces.push(chunk.subarray(begin, end))
      const line = Buffer.concat(pieces).toString('utf8')
      begin = end + 1
      pieces = []
      bytes = 0
      if (line.trim() !== '') yield line
    }
    pieces.push(chunk.subarray(begin))
    bytes += chunk.length - begin
    if (bytes > MAX_LINE_BYTES)
      throw new WrongAnswer(`a line has more than ${MAX_LINE_BYTES} bytes`)
  }
}
