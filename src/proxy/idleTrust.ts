/**
 * How long an idle connection to another server may still be used.
 *
 * Servers close idle connections after a time that many do not announce. It is impossible to tell
 * afterwards whether a server has read a request that met the close. So a request that must not be
 * sent twice uses only a connection that has been idle for less than half of what this server is
 * known to allow. It announced that time (`Keep-Alive: timeout=N`), or it kept a connection for as
 * long before. The other half is for a server that is slow to read what has arrived. A connection
 * that the server closed earlier counts until it keeps one for longer again; a request that was
 * lost all the same counts for ten minutes.
 */

/**
 * Until anything is known; half of it is allowed. No server closes a connection so soon on purpose.
 */
const FIRST_KEPT_MS = 40
const MAX_KEEP_MS = 600_000
/**
 * A connection that breaks sooner than this after its last use tells of no time-out: the server
 * went away.
 */
const MIN_LOST_MS = 10
const LOST_COUNTS_MS = 600_000

export class IdleTrust {
  readonly #defaultKeepMs: number
  #announcedMs: number | undefined
  #keptMs = FIRST_KEPT_MS
  #lost: { readonly idleMs: number; readonly atMs: number } | undefined

  /** `defaultKeepMs`: how long an idle connection is kept if the server does not say. */
  constructor(defaultKeepMs: number) {
    this.#defaultKeepMs = defaultKeepMs
  }

  /** After this time this side closes an idle connection. */
  get keepMs(): number {
    return this.#announcedMs === undefined ? this.#defaultKeepMs : this.#announcedMs / 2
  }

  /** Up to this time nothing is risked. */
  sureMs(nowMs: number): number {
    if (this.#lost && nowMs - this.#lost.atMs > LOST_COUNTS_MS) this.#lost = undefined
    return Math.min(
      this.#keptMs / 2,
      this.keepMs,
      this.#lost ? this.#lost.idleMs / 2 : Number.POSITIVE_INFINITY,
    )
  }

  /** In whole seconds: 0 means less than one. */
  onAnnounced(seconds: number): void {
    if (seconds < 1) return
    const announcedMs = Math.min(seconds * 1000, MAX_KEEP_MS)
    if (announcedMs === this.#announcedMs) return
    this.#announcedMs = announcedMs
    this.#keptMs = announcedMs
  }

  /** The server kept a connection that was idle for so long. */
  onKept(idleMs: number): void {
    if (idleMs > this.#keptMs) this.#keptMs = idleMs
  }

  /** The server closed one. */
  onClosed(idleMs: number): void {
    if (idleMs < this.#keptMs) this.#keptMs = idleMs
  }

  /** A request over a connection that had been idle for so long got no answer. */
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
