/**
 * For how long an idle connection of another server may still be used.
 *
 * A server closes idle connections after a time that many do not announce. A request that meets the
 * close may or may not have been read: nobody can tell afterwards. So a request that must not be
 * sent twice goes only over a connection that has been idle for less than half of what this server
 * is known to allow: it announced that (`Keep-Alive: timeout=N`), or it kept a connection for as
 * long before. The other half is for a server that comes late to read what has arrived. What it
 * closed earlier counts until it keeps one for longer again; what was lost all the same counts for
 * ten minutes.
 */

/**
 * Until anything is known: half of it is allowed. No server closes a connection so soon on purpose.
 */
const FIRST_KEPT_MS = 40
const MAX_KEEP_MS = 600_000
/**
 * A connection that breaks sooner after its last use tells of no time-out: the server went away.
 */
const MIN_LOST_MS = 10
const LOST_COUNTS_MS = 600_000

export class IdleTrust {
  readonly #defaultKeepMs: number
  #announcedMs: number | undefined
  #keptMs = FIRST_KEPT_MS
  #lost: { readonly idleMs: number; readonly atMs: number } | undefined

  /**
   * `defaultKeepMs`: how long to keep an idle connection of a server that does not say how long it
   * does.
   */
  constructor(defaultKeepMs: number) {
    this.#defaultKeepMs = defaultKeepMs
  }

  /** After so long an idle connection is closed from this side. */
  get keepMs(): number {
    return this.#announcedMs === undefined ? this.#defaultKeepMs : this.#announcedMs / 2
  }

  /** Up to here nothing is risked. */
  sureMs(nowMs: number): number {
    if (this.#lost && nowMs - this.#lost.atMs > LOST_COUNTS_MS) this.#lost = undefined
    return Math.min(
      this.#keptMs / 2,
      this.keepMs,
      this.#lost ? this.#lost.idleMs / 2 : Number.POSITIVE_INFINITY,
    )
  }

  /** Whole seconds: 0 says no more than that it is less than one. */
  onAnnounced(seconds: number): void {
    if (seconds < 1) return
    const announcedMs = Math.min(seconds * 1000, MAX_KEEP_MS)
    if (announcedMs === this.#announcedMs) return
    this.#announcedMs = announcedMs
    this.#keptMs = announcedMs
  }

  /** It kept a connection that was idle for so long. */
  onKept(idleMs: number): void {
    if (idleMs > this.#keptMs) this.#keptMs = idleMs
  }

  /** It closed one. */
  onClosed(idleMs: number): void {
    if (idleMs < this.#keptMs) this.#keptMs = idleMs
  }

  /** A request over one that had been idle for so long got no answer. */
  onLost(idleMs: number, nowMs: number): void {
    this.onClosed(idleMs)
    if (idleMs < MIN_LOST_MS) return
    this.#lost = { idleMs: Math.min(idleMs, this.#lost?.idleMs ?? idleMs), atMs: nowMs }
  }
}

/** The seconds in a Keep-Alive header; undefined when it names none. */
export function announcedSeconds(keepAlive: string | undefined): number | undefined {
  const seconds =
    keepAlive === undefined ? undefined : /(?:^|[\s,;])timeout=(\d{1,9})/i.exec(keepAlive)?.[1]
  return seconds === undefined ? undefined : Number(seconds)
}
