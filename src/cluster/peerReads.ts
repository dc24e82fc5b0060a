/**
 * Reads the same things of other nodes again and again. A signature names its receiver and a time
 * in the receiver's clock. Both are remembered from the last answer, so that a further read costs
 * one connection in place of two.
 */
import { monotonicMs } from '../platform/time.ts'
import type { PeerCalls, PeerClock, Told } from './peerCalls.ts'

/** Clocks that are remembered. A cluster has fewer nodes. */
const MAX_CLOCKS = 1024

export type ReadingCalls = Pick<PeerCalls, 'provenClock' | 'read' | 'isOpen'>

export class PeerReads {
  readonly #calls: ReadingCalls
  readonly #clocks = new Map<string, PeerClock>()

  constructor(calls: ReadingCalls) {
    this.#calls = calls
  }

  /**
   * GETs JSON at `path` of the node at HOST:PORT. `timeoutMs` bounds all of it. Throws
   * NODE_UNREACHABLE, NODE_ANSWER, PEER_UNPROVEN, or the error that the node answers. The cause of
   * NODE_UNREACHABLE is the error of the connection.
   */
  async read(
    address: string,
    path: string,
    timeoutMs: number,
    maxAnswerBytes: number,
  ): Promise<Told> {
    const endMs = monotonicMs() + timeoutMs
    const leftMs = () => Math.max(1, Math.ceil(endMs - monotonicMs()))
    const known = this.#clocks.get(address)
    if (known)
      try {
        return await this.#calls.read(address, path, leftMs(), known, maxAnswerBytes)
      } catch (error) {
        // Another node may be there now, or its clock was set.
        this.#clocks.delete(address)
        if (monotonicMs() >= endMs) throw error
      }
    const clock = this.#calls.isOpen ? undefined : await this.#calls.provenClock(address, leftMs())
    const told = await this.#calls.read(address, path, leftMs(), clock, maxAnswerBytes)
    if (clock) this.#remember(address, clock)
    return told
  }

  #remember(address: string, clock: PeerClock): void {
    this.#clocks.set(address, clock)
    const [oldest] = this.#clocks.keys()
    if (this.#clocks.size > MAX_CLOCKS) this.#clocks.delete(oldest)
  }
}
