/**
 * How far a WAL has been captured, shared between the thread that captures and the one that holds
 * the read guard: the guard lets go of frames only when they are captured, and asks without a round
 * trip.
 */
import { monotonicMs } from '../platform/time.ts'

/**
 * Salt 1 in the upper half tells the generation: a frame number alone could belong to the next one.
 */
const WORDS = 2
const CAPTURED = 0
const MAY_RESET = 1

export class CapturedFrame {
  readonly shared: SharedArrayBuffer
  readonly #words: BigInt64Array

  /** `shared` is the memory of the other thread's object. */
  constructor(shared = new SharedArrayBuffer(8 * WORDS)) {
    this.shared = shared
    this.#words = new BigInt64Array(shared)
  }

  /** All frames up to `frame` of the generation with this first salt are captured. */
  set(salt1: number, frame: number): void {
    const word = wordOf(salt1, frame)
    if (Atomics.exchange(this.#words, CAPTURED, word) !== word)
      Atomics.notify(this.#words, CAPTURED)
  }

  /** Whether all frames up to `frame` of the generation are captured. */
  includes(salt1: number, frame: number): boolean {
    return frame === 0 || covers(Atomics.load(this.#words, CAPTURED), salt1, frame)
  }

  /** Frames up to `frame` of the generation that are not captured. */
  missing(salt1: number, frame: number): number {
    const { salt1: known, frame: captured } = partsOf(Atomics.load(this.#words, CAPTURED))
    return known === salt1 ? Math.max(0, frame - captured) : frame
  }

  /**
   * Blocks the thread until those frames are captured, for `timeoutMs` at most. Gives whether they
   * are.
   */
  wait(salt1: number, frame: number, timeoutMs: number): boolean {
    const untilMs = monotonicMs() + timeoutMs
    for (;;) {
      const word = Atomics.load(this.#words, CAPTURED)
      if (frame === 0 || covers(word, salt1, frame)) return true
      const leftMs = untilMs - monotonicMs()
      if (leftMs <= 0) return false
      Atomics.wait(this.#words, CAPTURED, word, leftMs)
    }
  }

  /**
   * Whether a reset of the WAL is possible at all: false while the guard is known to sit on a mark.
   */
  get mayReset(): boolean {
    return Atomics.load(this.#words, MAY_RESET) !== 0n
  }

  set mayReset(value: boolean) {
    Atomics.store(this.#words, MAY_RESET, value ? 1n : 0n)
  }
}

const wordOf = (salt1: number, frame: number) =>
  BigInt.asIntN(64, (BigInt(salt1) << 32n) | BigInt(frame))

function partsOf(word: bigint): { readonly salt1: number; readonly frame: number } {
  const unsigned = BigInt.asUintN(64, word)
  return { salt1: Number(unsigned >> 32n), frame: Number(unsigned & 0xffffffffn) }
}

function covers(word: bigint, salt1: number, frame: number): boolean {
  const parts = partsOf(word)
  return parts.salt1 === salt1 && parts.frame >= frame
}
