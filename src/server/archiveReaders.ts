/** Who reads the archive of this node, told once an hour each: it is the whole database. */
const TOLD_EVERY_MS = 3_600_000
/** Past it the one that was told of first is told of again. */
const MAX_KNOWN = 1000

export class ArchiveReaders {
  readonly #nowMs: () => number
  readonly #onRead: (reader: string, place: number) => void
  /** When each was told of, the oldest first. */
  readonly #toldMs = new Map<string, number>()

  constructor(nowMs: () => number, onRead: (reader: string, place: number) => void) {
    this.#nowMs = nowMs
    this.#onRead = onRead
  }

  /** `reader`: a token, an address or this machine. */
  onRead(reader: string, place: number): void {
    const key = `${place} ${reader}`
    const nowMs = this.#nowMs()
    const toldMs = this.#toldMs.get(key)
    if (toldMs !== undefined && Math.abs(nowMs - toldMs) < TOLD_EVERY_MS) return
    this.#toldMs.delete(key)
    this.#toldMs.set(key, nowMs)
    const [oldest] = this.#toldMs.keys()
    if (this.#toldMs.size > MAX_KNOWN) this.#toldMs.delete(oldest)
    this.#onRead(reader, place)
  }
}
