/**
 * Counts the commits that are published and not captured yet, by the headers of their frames. So a
 * write behind a huge transaction that waits for a slow replica has a position before it is
 * captured.
 */

import { readSync } from '../platform/files.ts'
import { nextTurn } from '../platform/time.ts'
import { FRAME_HEADER_BYTES, frameOffset } from '../sqlite/walFormat.ts'
import type { WalIndexHeader } from '../sqlite/walIndexFormat.ts'

/** Headers read without letting anything else run. */
const FRAMES_AT_ONCE = 1024

export class CommitCounter {
  readonly #walFd: number
  readonly #pageSize: number
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES)
  /** How far it has counted, and in which generation. */
  #counted = { salt1: 0, salt2: 0, frame: 0, txid: 0 }

  constructor(walFd: number, pageSize: number) {
    this.#walFd = walFd
    this.#pageSize = pageSize
  }

  /** The highest txid that `count` has told. */
  get txid(): number {
    return this.#counted.txid
  }

  /**
   * The txid at the published end. `from` is in the same generation: frame `from.frame` ends commit
   * `from.txid`. Each frame is read once. Undefined when another generation has begun meanwhile.
   */
  async count(
    from: { readonly frame: number; readonly txid: number },
    { salt1, salt2, mxFrame }: Pick<WalIndexHeader, 'salt1' | 'salt2' | 'mxFrame'>,
  ): Promise<number | undefined> {
    const known = this.#counted
    const isOn = known.salt1 === salt1 && known.salt2 === salt2 && known.frame >= from.frame
    let { frame, txid } = isOn ? known : from
    while (frame < mxFrame) {
      const commit = this.#readCommit(++frame, salt1, salt2)
      if (commit === undefined) return undefined
      if (commit) txid++
      if (frame % FRAMES_AT_ONCE === 0) await nextTurn()
    }
    // Another call may have counted further meanwhile.
    if (txid >= this.#counted.txid) this.#counted = { salt1, salt2, frame, txid }
    return txid
  }

  /** Whether a frame is a commit; undefined when it is of another generation. */
  #readCommit(frame: number, salt1: number, salt2: number): boolean | undefined {
    const header = this.#header
    const got = readSync(this.#walFd, header, 0, header.length, frameOffset(frame, this.#pageSize))
    if (
      got < header.length ||
      header.readUInt32BE(8) !== salt1 ||
      header.readUInt32BE(12) !== salt2
    )
      return undefined
    return header.readUInt32BE(4) !== 0
  }
}
