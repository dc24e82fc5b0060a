/**
 * What a read asks for: to see at least a position, or data at most so old.
 *
 * A position in the cookie is signed: a node gave it, and it is waited for. One in a header may be
 * made up. It is waited for as far as the leader is known to have come. Beyond that the leader is
 * asked once, for all who wait: what it has not reached by then is nothing that a client can have
 * seen.
 */
import type { IncomingMessage } from 'node:http'
import { formatPosition, type Position, parsePosition } from '../../proto/position.ts'
import type { NodeView } from '../api/nodeView.ts'
import type { PositionWaits } from '../api/positionWaits.ts'
import { keyOf, WalcastError } from '../errors.ts'
import { monotonicMs, setTimer } from '../platform/time.ts'
import { headerOf, MAX_STALENESS_HEADER, POSITION_HEADER } from './headers.ts'
import type { PositionCookie } from './positionCookie.ts'

export interface WantedPosition extends Position {
  /** A node is known to have given it. */
  readonly isSigned: boolean
}

export interface Wanted {
  /** Not reached yet when it was asked. */
  readonly positions: readonly WantedPosition[]
  /** Also when the data was fresh enough then: it may grow old while a position is waited for. */
  readonly maxStalenessMs: number | undefined
  /** When it was asked, by `monotonicMs()`. */
  readonly askedMs: number
}

/** What did not come. */
export interface Lacking {
  /** A position (`3-4711`), how old the data is (`812ms`) or `copy` (no whole copy yet). */
  readonly what: string
  /**
   * The leader lacks it, too, as it has told since the read came: nothing is to be had by asking
   * it.
   */
  readonly isNowhere: boolean
}

const STALENESS = /^(\d{1,9})(ms|s)$/
/** A heartbeat that was asked for comes after a round trip; asked again if it does not. */
const FRESHEN_MS = 50
/** Between two questions to the leader, whoever waits for an answer. */
const MIN_ASK_MS = 2
/** Of epochs after its own that a leader looks into because a header names them. */
const MAX_EPOCHS_AHEAD = 16

export class Consistency {
  readonly #cookie: PositionCookie
  readonly #view: NodeView
  readonly #waits: PositionWaits
  #askedMs = Number.NEGATIVE_INFINITY
  #willAsk = false

  constructor(cookie: PositionCookie, view: NodeView, waits: PositionWaits) {
    this.#cookie = cookie
    this.#view = view
    this.#waits = waits
  }

  /**
   * What the request asks for and this node lacks now; undefined when it can be served. Throws
   * BAD_REQUEST.
   */
  lacking(request: IncomingMessage): Wanted | undefined {
    const positions = this.#positions(request)
    const maxStalenessMs = stalenessOf(request)
    const isFresh = maxStalenessMs === undefined || this.#view.staleMs() <= maxStalenessMs
    if (positions.length === 0 && isFresh && this.#view.canRead()) return undefined
    return { positions, maxStalenessMs, askedMs: monotonicMs() }
  }

  /** Waits for it. Gives what is still lacking after `timeoutMs`; undefined when nothing is. */
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
   * The epoch that the client has seen, if it is after this node's; a leader is behind nobody, or
   * is none any more.
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

  /** Those that are ahead. */
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
   * Whether the leader, asked after `askedMs`, has not come so far. False also when it cannot be
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

  /** A position that will never come is nothing to wait for. */
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
   * As old as it was asked for, at the time it was asked: the time that passes meanwhile makes
   * nothing stale.
   */
  #isFresh(maxMs: number, askedMs: number, endMs: number): Promise<boolean> {
    const check = () =>
      this.#view.staleMs() <= maxMs + (monotonicMs() - askedMs) ? 'reached' : 'ahead'
    return this.#ask(check, 'data fresh enough', endMs)
  }

  /** Waits for what the leader's word changes, and asks it. */
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

  /** One question for all who ask within a moment. */
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

  /** `refused`: too many wait already, and nobody waited. */
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
