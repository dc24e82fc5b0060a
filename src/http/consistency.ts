/** What a read asks for: to see at least a position, or data at most so old. */
import type { IncomingMessage } from 'node:http'
import { formatPosition, type Position, parsePosition } from '../../proto/position.ts'
import { keyOf, WalcastError } from '../errors.ts'
import { headerOf, MAX_STALENESS_HEADER, POSITION_HEADER } from './headers.ts'
import type { PositionCookie } from './positionCookie.ts'
import type { NodeView } from './view.ts'
import type { Waits } from './waits.ts'

export interface Wanted {
  /** Not reached yet when it was asked. */
  readonly positions: readonly Position[]
  /** Also when the data was fresh enough then: it may grow old while a position is waited for. */
  readonly maxStalenessMs: number | undefined
}

const STALENESS = /^(\d{1,9})(ms|s)$/
/** A heartbeat that was asked for comes after a round trip; asked again if it does not. */
const FRESHEN_MS = 50

export class Consistency {
  readonly #cookie: PositionCookie
  readonly #view: NodeView
  readonly #waits: Waits

  constructor(cookie: PositionCookie, view: NodeView, waits: Waits) {
    this.#cookie = cookie
    this.#view = view
    this.#waits = waits
  }

  /** What the request asks for and this node lacks now; undefined when it can be served. Throws BAD_REQUEST. */
  lacking(request: IncomingMessage): Wanted | undefined {
    const positions = this.#positions(request).filter((position) => this.#view.reach(position) === 'ahead')
    const maxStalenessMs = stalenessOf(request)
    const isFresh = maxStalenessMs === undefined || this.#view.staleMs() <= maxStalenessMs
    if (positions.length === 0 && isFresh && this.#view.canRead()) return undefined
    return { positions, maxStalenessMs }
  }

  /**
   * Waits for it. Gives what is still lacking after `timeoutMs`, for people and headers: a position (`3-4711`), how old the data
   * is (`812ms`) or `copy` (no whole copy yet); undefined when nothing is.
   */
  async wait(wanted: Wanted, timeoutMs: number): Promise<string | undefined> {
    const endMs = performance.now() + timeoutMs
    for (const position of wanted.positions)
      if (!(await this.#isReached(position, endMs - performance.now()))) return formatPosition(position)
    if (wanted.maxStalenessMs !== undefined && !(await this.#isFresh(wanted.maxStalenessMs, endMs)))
      return `${Math.ceil(this.#view.staleMs())}ms`
    if (!this.#view.canRead() && !(await this.#canRead(endMs - performance.now()))) return 'copy'
    return undefined
  }

  /** The epoch that the client has seen, if it is after this node's; a leader is behind nobody, or is none any more. */
  laterEpoch(request: IncomingMessage): number | undefined {
    const epoch = this.carried(request)?.epoch
    return epoch !== undefined && epoch > this.#view.position().epoch ? epoch : undefined
  }

  /** The position that the client brings: in a header, else in its cookie. */
  carried(request: IncomingMessage): Position | undefined {
    const given = headerOf(request, POSITION_HEADER)
    return (given && parsePosition(given)) || this.#cookie.read(request.headers.cookie)
  }

  #positions(request: IncomingMessage): Position[] {
    const positions: Position[] = []
    const given = headerOf(request, POSITION_HEADER)
    if (given !== undefined) {
      const position = parsePosition(given)
      if (!position) throw new WalcastError('BAD_REQUEST', { detail: 'Walcast-Position is not EPOCH-TXID' })
      positions.push(position)
    }
    const carried = this.#cookie.read(request.headers.cookie)
    if (carried) positions.push(carried)
    return positions
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

  async #isFresh(maxMs: number, endMs: number): Promise<boolean> {
    const check = () => (this.#view.staleMs() <= maxMs ? 'reached' : 'ahead')
    while (check() !== 'reached') {
      const leftMs = endMs - performance.now()
      if (leftMs <= 0) return false
      this.#view.freshen()
      if ((await this.#outcome(check, 'data fresh enough', Math.min(leftMs, FRESHEN_MS))) === 'refused')
        return false
    }
    return true
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
