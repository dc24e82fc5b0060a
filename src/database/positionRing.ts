/**
 * The most recent positions of a node and their state checksums. Nothing is allocated as they are
 * added.
 */
export const RING_POSITIONS = 1024

export class PositionRing {
  readonly #epochs = new Float64Array(RING_POSITIONS)
  readonly #txids = new Float64Array(RING_POSITIONS)
  readonly #checksums = new BigUint64Array(RING_POSITIONS)
  #count = 0

  add(epoch: number, txid: number, checksum: bigint): void {
    const at = this.#count++ % RING_POSITIONS
    this.#epochs[at] = epoch
    this.#txids[at] = txid
    this.#checksums[at] = checksum
  }

  /** What follows need not follow from what is known. */
  clear(): void {
    this.#count = 0
  }

  /** Oldest first. */
  list(): { readonly epoch: number; readonly txid: number; readonly checksum: bigint }[] {
    const size = Math.min(this.#count, RING_POSITIONS)
    return Array.from({ length: size }, (_, i) => {
      const at = (this.#count - size + i) % RING_POSITIONS
      return { epoch: this.#epochs[at], txid: this.#txids[at], checksum: this.#checksums[at] }
    })
  }
}
