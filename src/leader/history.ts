/** Recent batches, encoded once for all replicas, kept up to a byte limit. */

export interface HistoryEntry {
  /** Counts entries of this process's life; a session's cursor. */
  readonly sequence: number
  /** The position before this batch. */
  readonly fromTxid: number
  readonly txid: number
  /** State checksum before it, as hex. */
  readonly fromChecksum: string
  /** The encoded messages. Leading ones of a huge transaction may be gone already (undefined). */
  readonly chunks: (Buffer | undefined)[]
  complete: boolean
}

export class History {
  readonly #limitBytes: number
  #entries: HistoryEntry[] = []
  #nextSequence = 0
  #bytes = 0
  #dropped = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Sequence that the next entry will have. */
  get nextSequence(): number {
    return this.#nextSequence
  }

  /** Adds one message of the batch that leads from `from` to `txid`. */
  add(
    from: { readonly txid: number; readonly checksum: string },
    txid: number,
    message: Buffer,
    last: boolean,
  ): HistoryEntry {
    let entry = this.#entries.at(-1)
    if (!entry || entry.complete) {
      entry = {
        sequence: this.#nextSequence++,
        fromTxid: from.txid,
        fromChecksum: from.checksum,
        txid,
        chunks: [],
        complete: false,
      }
      this.#entries.push(entry)
      this.#dropped = 0
    }
    entry.chunks.push(message)
    entry.complete = last
    this.#bytes += message.length
    this.#evict()
    return entry
  }

  /** The entry with this sequence, undefined when it is gone or not there yet. */
  get(sequence: number): HistoryEntry | undefined {
    const first = this.#entries[0]
    return first && this.#entries[sequence - first.sequence]
  }

  /** The entry that begins at a position, if history has it whole. */
  find(txid: number, checksum: string): HistoryEntry | undefined {
    return this.#entries.find(
      (entry) => entry.fromTxid === txid && entry.fromChecksum === checksum && entry.chunks[0] !== undefined,
    )
  }

  clear(): void {
    this.#entries = []
    this.#bytes = 0
  }

  #evict(): void {
    while (this.#bytes > this.#limitBytes && this.#entries.length > 1) {
      const gone = this.#entries.shift()
      for (const chunk of gone?.chunks ?? []) this.#bytes -= chunk?.length ?? 0
    }
    const only = this.#entries[0]
    while (this.#bytes > this.#limitBytes && this.#dropped < only.chunks.length - 1) {
      this.#bytes -= only.chunks[this.#dropped]?.length ?? 0
      only.chunks[this.#dropped++] = undefined
    }
  }
}
