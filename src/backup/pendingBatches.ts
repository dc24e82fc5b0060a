/**
 * Batches that wait to be written to the log, each with its head. They count until they are
 * written. What is written at once is copied for that, and bounded: a large transaction is not held
 * twice, and makes room bit by bit.
 */
import { type BatchHead, encodeHead, HEAD_BYTES } from './batchRecord.ts'

/** Of one write, unless a single batch has more. */
const WRITE_BYTES = 4 * 1024 * 1024

export class PendingBatches {
  readonly #maxBytes: number
  #waiting: (readonly [Buffer, Buffer])[] = []
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** With those that are being written. */
  get bytes(): number {
    return this.#bytes
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** False when there are too many: it was not taken. */
  add(head: BatchHead, message: Buffer): boolean {
    const bytes = HEAD_BYTES + message.length
    if (this.#bytes + bytes > this.#maxBytes) return false
    this.#waiting.push([encodeHead(head), message])
    this.#bytes += bytes
    return true
  }

  /** The next ones, whole, as they are written: none goes over two files. */
  next(): Buffer {
    let [count, bytes] = [0, 0]
    for (; count < this.#waiting.length && bytes < WRITE_BYTES; count++)
      bytes += HEAD_BYTES + this.#waiting[count][1].length
    return Buffer.concat(this.#waiting.splice(0, count).flat())
  }

  onWritten(bytes: number): void {
    this.#bytes -= bytes
  }

  /** All that waits is lost, with what was being written. */
  drop(): void {
    this.#waiting = []
    this.#bytes = 0
  }
}
