/**
 * A snapshot beside the files of changes, which lead to it and go on from it. They wait while the
 * database is copied: its position is known only then, and no file may pass it. They go on while
 * the copy is written into the place, which takes longest.
 */
import { Backoff } from '../platform/backoff.ts'
import { monotonicMs } from '../platform/time.ts'
import type { Stand } from './batchRecord.ts'
import type { PlaceFile } from './placedFile.ts'
import type { PlaceParts } from './placeParts.ts'
import { type OnWriting, storeSnapshot } from './snapshotFile.ts'
import type { TakenSnapshot } from './snapshotTaker.ts'

const RETRY_MS = { min: 1000, max: 30_000 }

/** It is in the place, under this name. */
export type OnStored = (name: string, at: Stand) => void

export class AddedSnapshot {
  readonly #parts: Pick<PlaceParts, 'withSnapshot' | 'mark'>
  readonly #onEnded: () => void
  readonly #nowMs: () => number
  readonly #backoff = new Backoff(RETRY_MS.min, RETRY_MS.max)
  #notBeforeMs = 0
  #at: Stand | undefined
  #storing: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  /**
   * `onEnded`: one is there, or has failed, after `take` had ended. `nowMs`: a clock that never
   * goes back.
   */
  constructor(
    parts: Pick<PlaceParts, 'withSnapshot' | 'mark'>,
    onEnded: () => void,
    nowMs: () => number = monotonicMs,
  ) {
    this.#parts = parts
    this.#onEnded = onEnded
    this.#nowMs = nowMs
  }

  /** No file of changes goes past this one. */
  get cutTxid(): number {
    return this.#at?.txid ?? 0
  }

  get isRunning(): boolean {
    return this.#storing !== undefined
  }

  /** After how long one that failed may be tried again, ms; undefined when nothing holds it up. */
  get retryMs(): number | undefined {
    const leftMs = this.#notBeforeMs - this.#nowMs()
    return leftMs > 0 && !this.isRunning ? leftMs : undefined
  }

  /** Throws why the last one failed, once. */
  requireSound(): void {
    if (!this.#failure) return
    const { error } = this.#failure
    this.#failure = undefined
    throw error
  }

  /** Whether one may be taken of a place that is at `at`: changes lead to the last one first. */
  mayTake({ incarnation, txid }: Stand): boolean {
    if (this.isRunning || this.retryMs !== undefined) return false
    return this.#at?.incarnation !== incarnation || txid >= this.cutTxid
  }

  /** Ends when the copy is there; the writing goes on. Throws why there is none. */
  async take(toPlace: PlaceFile, onStored: OnStored, onWriting?: OnWriting): Promise<void> {
    let isTaken = false
    await new Promise<void>((resolve) => {
      const store = async (taken: TakenSnapshot) => {
        this.#at = taken.at
        isTaken = true
        resolve()
        onStored(await storeSnapshot(toPlace, taken, this.#parts.mark(), onWriting), taken.at)
        this.#backoff.reset()
      }
      this.#storing = this.#parts
        .withSnapshot(store)
        .catch((error) => this.#fail(error))
        .finally(() => {
          this.#storing = undefined
          resolve()
          if (isTaken) this.#onEnded()
        })
    })
    if (!isTaken) this.requireSound()
  }

  /** It is in the place then. Throws why it is not. */
  async settled(): Promise<void> {
    await this.#storing
    this.requireSound()
  }

  /** Whatever it was: an engine that begins again and again ends each copy with STOPPING. */
  #fail(error: unknown): void {
    this.#failure = { error }
    this.#notBeforeMs = this.#nowMs() + this.#backoff.nextMs()
  }
}
