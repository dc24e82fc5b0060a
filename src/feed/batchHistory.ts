/** Recent batches, encoded once for all replicas, kept up to a byte limit. */
import { compact } from './batchCompaction.ts'

/** Before a chunk of an entry. */
export interface HistoryPlace {
  readonly sequence: number
  readonly chunk: number
}

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

/** Batches as one, for a replica that is behind. */
export interface CatchUpStep {
  readonly message: Buffer
  readonly nextSequence: number
}

/** A replica that lacks fewer batches gets them as they are. */
const MIN_BATCHES = 8
/** Batches that are looked at for one step. */
const MAX_STEP_BATCHES = 1024
const MAX_STEP_BYTES = 4 * 1024 * 1024

export class BatchHistory {
  readonly #limitBytes: number
  #entries: HistoryEntry[] = []
  #nextSequence = 0
  #bytes = 0
  #dropped = 0
  /** The last step made: replicas that come back together lack the same batches. */
  #step: (CatchUpStep & { readonly sequence: number }) | undefined

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
      (entry) =>
        entry.fromTxid === txid && entry.fromChecksum === checksum && entry.chunks[0] !== undefined,
    )
  }

  /** Messages of all batches after a position; undefined unless all of them are kept. */
  messagesAfter(txid: number, checksum: string): Buffer[] | undefined {
    const first = this.find(txid, checksum)
    const after = this.#entries.filter(({ sequence }) => first && sequence >= first.sequence)
    return first && after.flatMap(({ chunks }) => chunks.flatMap((chunk) => chunk ?? []))
  }

  /**
   * One message for several batches from `sequence` on; undefined when few are waiting, or the next
   * one is no single message. A step made once is given again while it is the newest.
   */
  compacted(sequence: number): CatchUpStep | undefined {
    if (this.#nextSequence - sequence < MIN_BATCHES) return undefined
    if (this.#step?.sequence === sequence) return this.#step
    const messages = this.#singles(sequence)
    if (messages.length < MIN_BATCHES) return undefined
    const { message, count } = compact(messages)
    if (count < 2) return undefined
    this.#step = { sequence, message, nextSequence: sequence + count }
    return this.#step
  }

  /** Whole batches of one message each, from `sequence` on. */
  #singles(sequence: number): Buffer[] {
    const messages: Buffer[] = []
    let bytes = 0
    for (
      let next = sequence;
      messages.length < MAX_STEP_BATCHES && bytes < MAX_STEP_BYTES;
      next++
    ) {
      const entry = this.get(next)
      const message = entry?.chunks[0]
      if (!entry?.complete || !message || entry.chunks.length > 1) break
      messages.push(message)
      bytes += message.length
    }
    return messages
  }

  clear(): void {
    this.#step = undefined
    this.#entries = []
    this.#bytes = 0
  }

  /**
   * Everything before this place would be dropped to make room for a message of `bytes`; undefined
   * when there is room.
   */
  placeAfterAdding(bytes: number): HistoryPlace | undefined {
    let overBytes = this.#bytes + bytes - this.#limitBytes
    if (overBytes <= 0) return undefined
    for (const entry of this.#entries) {
      const isOpen = !entry.complete
      for (let chunk = isOpen ? this.#dropped : 0; chunk < entry.chunks.length; chunk++) {
        overBytes -= entry.chunks[chunk]?.length ?? 0
        if (isOpen && overBytes <= 0) return { sequence: entry.sequence, chunk: chunk + 1 }
      }
      if (overBytes <= 0) return { sequence: entry.sequence + 1, chunk: 0 }
    }
    return { sequence: this.#nextSequence, chunk: 0 }
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
