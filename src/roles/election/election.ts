/**
 * Automatic failover of one node: keeps the lease of a leader, and has a candidate take it when
 * nobody holds it. What follows from that for the role is decided in `roleState.ts`.
 *
 * One thing after another: each round does what is due, and the next begins after a pause or as
 * soon as the service tells of a change.
 */
import type { ElectionReport } from '../../api/electionReport.ts'
import type { AgreementAsked, AgreementGiven } from '../../api/roleActions.ts'
import { keyOf, messageOf } from '../../errors.ts'
import { delay, monotonicMs } from '../../platform/time.ts'
import type { LeaseFacts } from '../state/roleFacts.ts'
import type { ClusterLease } from './clusterLease.ts'
import { ElectionRounds, type ElectionRoundsParts } from './electionRounds.ts'
import type { TakeHow } from './leaseHolder.ts'

export interface ElectionParts extends ElectionRoundsParts {
  readonly service: ClusterLease
}

/** Rounds for each TTL; a candidate's are the resolution of its waits. */
const ROUNDS = 20
const MIN_PAUSE_MS = 50
const MAX_PAUSE_MS = 250
/** After it gave leadership up, for how many TTLs others go first. */
const REST = 2

export class Election {
  readonly #parts: ElectionParts
  readonly #rounds: ElectionRounds
  readonly #pauseMs: number
  readonly #end = new AbortController()
  #wake = new AbortController()
  #running: Promise<unknown> = Promise.resolve()
  #isStarted = false
  #isWatching = false
  #isProbed = false

  constructor(parts: ElectionParts) {
    this.#parts = parts
    this.#rounds = new ElectionRounds(parts)
    const pauseMs = parts.validity.ttlMs / ROUNDS
    this.#pauseMs = Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, pauseMs))
  }

  /** Throws ELECTION_UNFIT. A service that is away is waited for. */
  async begin(): Promise<void> {
    const { service, sight, log } = this.#parts
    try {
      if (service.isKnown) await this.#probe()
    } catch (error) {
      if (keyOf(error) !== 'ELECTION_AWAY') throw error
      sight.onFailed(error)
      log.warn({ error: messageOf(error) }, 'the lock service cannot be used')
    }
    // A renewal waits for nothing else: other nodes may take long to answer.
    const work = [() => this.#round(), () => this.#rounds.renew()]
    this.#running = Promise.all(work.map((each) => this.#repeat(each)))
  }

  /** The node has its first role. */
  onStarted(): void {
    this.#isStarted = true
    this.wake()
  }

  /** A round begins at once. */
  wake(): void {
    const wake = this.#wake
    this.#wake = new AbortController()
    wake.abort()
  }

  get ttlMs(): number {
    return this.#parts.validity.ttlMs
  }

  get facts(): LeaseFacts {
    const { validity } = this.#parts
    return {
      isHeld: validity.lease !== undefined,
      mayGoOn: monotonicMs() < validity.fenceMs,
      detail: this.#rounds.why,
    }
  }

  /**
   * Whether the confirmations of that replica count. Not after the lease: another node may have
   * been promoted by then that asked the replica before it confirmed. On the hot path.
   */
  counts(node: string): boolean {
    const { counted, validity, holder, record } = this.#parts
    const isOfTerm = (holder.term?.epoch ?? 0) >= record().epoch
    return isOfTerm && monotonicMs() < validity.untilMs && counted.counts(node)
  }

  /** The leader asks whether it may go on without the service. */
  agree(asked: AgreementAsked): AgreementGiven {
    return this.#parts.agreement.answer(asked)
  }

  /** See `LeaseHolder`. */
  async take(how: TakeHow): Promise<number> {
    await this.#probe()
    return this.#parts.holder.take(how)
  }

  requireEpoch(epoch: number): Promise<void> {
    return this.#parts.holder.requireEpoch(epoch)
  }

  handTo(node: string): Promise<void> {
    return this.#parts.holder.handTo(node)
  }

  /** This node follows: others go first. */
  release(): void {
    const { holder, candidate, validity } = this.#parts
    candidate.rest(REST * validity.ttlMs)
    void holder.release()
  }

  /**
   * To be called when the node is fenced, or follows. `keeps`: the lease ends by itself, since
   * nobody is to be promoted meanwhile.
   */
  async stop(keeps: boolean): Promise<void> {
    const { sight, holder, candidate, service } = this.#parts
    this.#end.abort()
    this.wake()
    sight.stop()
    await this.#running
    if (!keeps) await holder.release()
    // What cannot be told ends by itself.
    await candidate.withdraw().catch(() => {})
    await service.close()
  }

  report(): ElectionReport {
    const { service, validity, sight, candidate, agreement, holder, record } = this.#parts
    const nowMs = monotonicMs()
    const isLeader = record().role === 'leader'
    const { last, away } = sight
    const term = isLeader ? holder.term : last?.term
    const isFree = last?.freeSinceMs !== undefined
    const { candidacy } = candidate
    return {
      service: service.name,
      ttlMs: validity.ttlMs,
      isHeld: validity.lease !== undefined || (last?.isHeld ?? false),
      node: term?.node ?? null,
      epoch: term?.epoch ?? null,
      validForMs: isLeader ? Math.max(0, validity.fenceMs - nowMs) : null,
      isByAgreement: isLeader && validity.isByAgreement(nowMs),
      counted: term?.counted ?? [],
      awayForMs: away ? nowMs - away.sinceMs : null,
      awayBecause: away?.detail ?? null,
      notPromoted: !isLeader && isFree && 'why' in candidacy ? candidacy.why : null,
      disagreed: agreement.why === '' ? null : agreement.why,
    }
  }

  async #repeat(work: () => Promise<void>): Promise<void> {
    while (!this.#end.signal.aborted) {
      const { signal } = this.#wake
      try {
        await work()
        this.#rounds.onDone()
      } catch (error) {
        this.#rounds.onFailed(error)
      }
      if (this.#end.signal.aborted) return
      const pauseMs = this.#parts.sight.away ? this.#rounds.retryMs : this.#pauseMs
      await delay(pauseMs, { signal }).catch(() => {})
    }
  }

  async #round(): Promise<void> {
    const { service, sight, record } = this.#parts
    if (!service.isKnown) return
    if (!this.#isWatching) sight.begin()
    this.#isWatching = true
    await this.#probe()
    if (!this.#isStarted) return
    if (record().role === 'leader') await this.#rounds.lead()
    else await this.#rounds.follow()
  }

  /** Until it has done what it must once. Throws ELECTION_UNFIT or ELECTION_AWAY. */
  async #probe(): Promise<void> {
    if (this.#isProbed) return
    await this.#parts.service.probe()
    this.#isProbed = true
  }
}
