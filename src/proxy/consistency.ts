/**
 * What a read asks for: at least a position, or data no older than a bound.
 *
 * A position in the cookie is signed: a node gave it, so the read waits for it. A position in a
 * header may be made up. The read waits for it as far as the leader is known to have come. Beyond
 * that the leader is asked once, for all reads that wait: no client can have seen what the leader
 * has not reached by then.
 */
import type { IncomingMessage } from 'node:http'
import { formatPosition, type Position, parsePosition } from '../../proto/position.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import type { PositionWaits } from '../api/positionWaits.ts'
import { keyOf, WalcastError } from '../errors.ts'
import { monotonicMs, setTimer } from '../platform/time.ts'
import { headerOf, MAX_STALENESS_HEADER, POSITION_HEADER } from './headers.ts'
import type { PositionCookie } from './positionCookie.ts'

export interface WantedPosition extends Position {
  /** Whether a node is known to have given it. */
  readonly isSigned: boolean
}

export interface Wanted {
  /** Positions that were not reached when the read came. */
  readonly positions: readonly WantedPosition[]
  /**
   * Also set when the data was fresh enough then: it may grow old while a position is waited for.
   */
  readonly maxStalenessMs: number | undefined
  /** When the read came, by `monotonicMs()`. */
  readonly askedMs: number
}

/** What did not come in time. */
export interface Lacking {
  /** A position (`3-4711`), how old the data is (`812ms`) or `copy` (no whole copy yet). */
  readonly what: string
  /** The leader has told since the read came that it lacks this as well: asking it is of no use. */
  readonly isNowhere: boolean
}

const STALENESS = /^(\d{1,9})(ms|s)$/
/**
 * A heartbeat takes one round trip after it was asked for. After this time it is asked for again.
 */
const FRESHEN_MS = 50
/** The shortest time between two questions to the leader, however many reads wait. */
const MIN_ASK_MS = 2
/** A leader looks into an epoch that a header names only up to so many after its own. */
const MAX_EPOCHS_AHEAD = 16

export class Consistency {
  readonly #cookie: PositionCookie
  readonly #view: DatabaseView
  readonly #waits: PositionWaits
  #askedMs = Number.NEGATIVE_INFINITY
  #willAsk = false

  constructor(cookie: PositionCookie, view: DatabaseView, waits: PositionWaits) {
    this.#cookie = cookie
    this.#view = view
    this.#waits = waits
  }

  /**
   * What the request asks for that this node lacks now; undefined when the request can be served.
   * Throws BAD_REQUEST.
   */
  lacking(request: IncomingMessage): Wanted | undefined {
    const positions = this.#positions(request)
    const maxStalenessMs = stalenessOf(request)
    const isFresh = maxStalenessMs === undefined || this.#view.staleMs() <= maxStalenessMs
    if (positions.length === 0 && isFresh && this.#view.canRead()) return undefined
    return { positions, maxStalenessMs, askedMs: monotonicMs() }
  }

  /**
   * Waits for what is wanted. Resolves with what is still lacking after `timeoutMs`; undefined when
   * nothing is.
   */
  async wait(wanted: Wanted, timeoutMs: number): Promise<Lacking | undefined> {
    const { positions, maxStalenessMs, askedMs } = wanted
    const endMs = monotonicMs() + timeoutMs
    for (const position of positions) {
      const what = formatPosition(position)
      if (!position.isSigned && (await this.#isNowhere(position, askedMs, endMs)))
        return { what, isNowhere: true }
      if (!(await this.#isReached(position, endMs - monotonicMs())))
        return { what, isNowhere: false }
    }
    if (maxStalenessMs !== undefined && !(await this.#isFresh(maxStalenessMs, askedMs, endMs)))
      return { what: `${Math.ceil(this.#view.staleMs())}ms`, isNowhere: false }
    if (!this.#view.canRead() && !(await this.#canRead(endMs - monotonicMs())))
      return { what: 'copy', isNowhere: false }
    return undefined
  }

  /**
   * The epoch that the client has seen, if it is later than this node's. A leader that meets one is
   * no longer the leader.
   */
  laterEpoch(request: IncomingMessage): number | undefined {
    const mine = this.#view.position().epoch
    const signed = this.#cookie.read(request.headers.cookie)
    if (signed && signed.epoch > mine) return signed.epoch
    const claimed = claimedIn(request)
    return claimed && claimed.epoch > mine && claimed.epoch <= mine + MAX_EPOCHS_AHEAD
      ? claimed.epoch
      : undefined
  }

  /** The position that the client brings: in a header, else in its cookie. */
  carried(request: IncomingMessage): Position | undefined {
    return claimedIn(request) || this.#cookie.read(request.headers.cookie)
  }

  /** The positions that this node has not reached. */
  #positions(request: IncomingMessage): readonly WantedPosition[] {
    const given = headerOf(request, POSITION_HEADER)
    const { cookie } = request.headers
    if (given === undefined && cookie === undefined) return NONE
    const positions: WantedPosition[] = []
    if (given !== undefined) {
      const position = parsePosition(given)
      if (!position)
        throw new WalcastError('BAD_REQUEST', { detail: 'Walcast-Position is not EPOCH-TXID' })
      if (this.#view.reach(position) === 'ahead') positions.push({ ...position, isSigned: false })
    }
    const signed = this.#cookie.read(cookie)
    if (signed && this.#view.reach(signed) === 'ahead')
      positions.push({ ...signed, isSigned: true })
    return positions
  }

  /**
   * Whether the leader, asked after `askedMs`, has not come so far. Also false when it cannot be
   * asked in time.
   */
  async #isNowhere(position: Position, askedMs: number, endMs: number): Promise<boolean> {
    const isTold = () => {
      const { epoch, txid } = this.#view.leaderAt()
      return position.epoch <= epoch && position.txid <= txid
    }
    const isAsked = () => this.#view.leaderAt().agoMs <= monotonicMs() - askedMs
    const check = () => (isTold() || isAsked() ? 'reached' : 'ahead')
    return (await this.#ask(check, 'word of the leader', endMs)) && !isTold()
  }

  /** A position that will never come counts as reached: waiting for it is of no use. */
  async #isReached(position: Position, timeoutMs: number): Promise<boolean> {
    try {
      await this.#waits.until(position, Math.max(0, timeoutMs))
      return true
    } catch (error) {
      if (keyOf(error) === 'POSITION_UNKNOWN') return true
      if (keyOf(error) === 'WAIT_TIMEOUT' || keyOf(error) === 'TOO_MANY_WAITS') return false
      throw error
    }
  }

  /**
   * Whether the data is as fresh as was asked for, at the time when it was asked: the wait itself
   * makes nothing stale.
   */
  #isFresh(maxMs: number, askedMs: number, endMs: number): Promise<boolean> {
    const check = () =>
      this.#view.staleMs() <= maxMs + (monotonicMs() - askedMs) ? 'reached' : 'ahead'
    return this.#ask(check, 'data fresh enough', endMs)
  }

  /** Asks the leader, and waits until its answer makes `check` true. */
  async #ask(check: () => 'reached' | 'ahead', name: string, endMs: number): Promise<boolean> {
    while (check() !== 'reached') {
      const leftMs = endMs - monotonicMs()
      if (leftMs <= 0) return false
      this.#freshen()
      if ((await this.#outcome(check, name, Math.min(leftMs, FRESHEN_MS))) === 'refused')
        return false
    }
    return true
  }

  /** One question for all reads that ask within a moment. */
  #freshen(): void {
    if (this.#willAsk) return
    const restMs = this.#askedMs + MIN_ASK_MS - monotonicMs()
    if (restMs > 0) {
      this.#willAsk = true
      setTimer(() => {
        this.#willAsk = false
        this.#freshen()
      }, restMs).unref()
      return
    }
    this.#askedMs = monotonicMs()
    this.#view.freshen()
  }

  async #canRead(timeoutMs: number): Promise<boolean> {
    const check = () => (this.#view.canRead() ? 'reached' : 'ahead')
    return (await this.#outcome(check, 'a whole copy', Math.max(0, timeoutMs))) === 'reached'
  }

  /** `refused`: too many reads wait already, so this one did not. */
  async #outcome(
    check: () => 'reached' | 'ahead',
    name: string,
    timeoutMs: number,
  ): Promise<'reached' | 'late' | 'refused'> {
    try {
      await this.#waits.untilTrue(check, name, timeoutMs)
      return 'reached'
    } catch (error) {
      if (keyOf(error) === 'WAIT_TIMEOUT') return 'late'
      if (keyOf(error) === 'TOO_MANY_WAITS') return 'refused'
      throw error
    }
  }
}

const NONE: readonly WantedPosition[] = []

function claimedIn(request: IncomingMessage): Position | undefined {
  const given = headerOf(request, POSITION_HEADER)
  return given === undefined ? undefined : parsePosition(given)
}

function stalenessOf(request: IncomingMessage): number | undefined {
  const given = headerOf(request, MAX_STALENESS_HEADER)
  if (given === undefined) return undefined
  const match = STALENESS.exec(given.trim())
  if (!match)
    throw new WalcastError('BAD_REQUEST', {
      detail: 'Walcast-Max-Staleness is not a time such as 250ms or 2s',
    })
  return Number(match[1]) * (match[2] === 's' ? 1000 : 1)
}
