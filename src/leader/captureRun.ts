/**
 * One run of capture: from where it begins until it loses its place, the database is handed over,
 * or the node stops. A run that has ended never goes on; a leader that lost its place begins
 * another.
 */
import type { Logger } from 'pino'
import { durationOf } from '../../proto/fields.ts'
import type { Body } from '../../proto/messages.ts'
import { keyOf, messageOf, WalcastError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import { delay } from '../platform/time.ts'
import type { WalReader } from '../sqlite/walReader.ts'
import type { Capture } from './capture.ts'
import { WalWatcher, type WalWatcherOptions } from './walWatcher.ts'

/** Segments that one look takes while everything is to be read. */
const SEGMENTS_AT_ONCE = 16

export interface CaptureRunHost {
  readonly clock: Clock
  readonly log: Logger
  /** Whether SQLite can still be asked. */
  isAlive(): boolean
  /** Something was captured. */
  onCaptured(): void
  onFailed(error: unknown): void
}

export class CaptureRun {
  readonly capture: Capture
  readonly #wake: WalWatcher
  readonly #host: CaptureRunHost
  #isOn = false
  #isCounting = false

  constructor(
    capture: Capture,
    reader: WalReader,
    wake: { readonly walPath: string; readonly options: WalWatcherOptions },
    host: CaptureRunHost,
  ) {
    this.capture = capture
    this.#host = host
    this.#wake = new WalWatcher(wake.walPath, wake.options, host.clock, {
      look: (noticeMs) => this.look(noticeMs),
      isWriteUnderWay: () => reader.isWriteUnderWay(),
      onUnwatched: (error) =>
        host.log.warn(
          { error: messageOf(error) },
          'cannot watch the WAL; polling it instead; raise fs.inotify.max_user_instances',
        ),
    })
    capture.recordPosition()
  }

  /** From `start` to `end`. */
  get isOn(): boolean {
    return this.#isOn
  }

  start(): void {
    this.#isOn = true
    this.#wake.start()
  }

  /** From now on it looks only when it is told to. */
  stopWaking(): void {
    this.#wake.stop()
  }

  end(): void {
    this.#isOn = false
    this.#wake.stop()
  }

  /**
   * Captures new commits, up to the bound of one look. Returns whether there were any.
   */
  look(noticeMs: number): boolean {
    if (!this.#isOn || !this.#host.isAlive()) return false
    try {
      const found = (this.capture.look(noticeMs) ?? 0) > 0
      if (found) this.#host.onCaptured()
      if (!this.capture.isAtEnd && found) this.#wake.now()
      return found
    } catch (error) {
      this.#host.onFailed(error)
      return false
    }
  }

  /** Where the database stands, as far as it is known: `staleMs` tells how old that is. */
  tell(): Pick<Body<'heartbeat'>, 'epoch' | 'txid' | 'timeMs' | 'staleMs'> {
    this.look(this.#host.clock.nowMs())
    const { epoch, known } = this.capture
    const timeMs = this.#host.clock.nowMs()
    this.#countOn()
    return { epoch, txid: known.txid, timeMs, staleMs: durationOf(timeMs - known.knownMs) }
  }

  /**
   * Counts what is published behind a huge transaction that waits for a replica, so that heartbeats
   * tell of it.
   */
  #countOn(): void {
    if (this.capture.isAtEnd || this.#isCounting) return
    this.#isCounting = true
    const done = () => {
      this.#isCounting = false
    }
    // A failure here meets the next look too, which reports it.
    this.capture.countAhead().then(done, done)
  }

  /** A huge transaction that waited for a replica may go on. */
  lookOn(): void {
    if (this.capture.isOpen) this.#wake.now()
  }

  /**
   * A position that contains every commit made before the call. Behind a huge transaction that
   * waits for a replica commits are counted, not captured. Throws STARTING when the run has ended,
   * and what capture throws.
   */
  async settle(): Promise<{ readonly epoch: number; readonly txid: number }> {
    if (!this.#isOn) throw new WalcastError('STARTING')
    const { txid: before, epoch } = this.capture
    const counted = await this.#readOn(false, () => this.capture.countAhead())
    const { txid } = this.capture
    if (txid > before) {
      this.#wake.onCaptured()
      this.#host.onCaptured()
    }
    return { epoch, txid: counted ?? txid }
  }

  /**
   * Captures all that is published. `force` does not wait for replicas within a huge transaction:
   * history bounds what is kept for them.
   */
  async readToEnd(force: boolean): Promise<void> {
    await this.#readOn(force, () => undefined)
  }

  /**
   * As `readToEnd`, until `whileHeld` gives something. It is called while a huge transaction waits
   * for a replica.
   */
  async #readOn<T>(
    force: boolean,
    whileHeld: () => Promise<T | undefined> | undefined,
  ): Promise<T | undefined> {
    try {
      for (;;) {
        if (!this.#isOn || !this.#host.isAlive()) throw new WalcastError('STOPPING')
        const found = this.capture.look(this.#host.clock.nowMs(), SEGMENTS_AT_ONCE, force)
        if (found !== undefined && this.capture.isAtEnd) return undefined
        const instead = found === 0 && this.capture.isOpen ? await whileHeld() : undefined
        if (instead !== undefined) return instead
        await delay(found ? 0 : 1)
      }
    } catch (error) {
      if (keyOf(error) !== 'STOPPING') this.#host.onFailed(error)
      throw error
    }
  }
}
