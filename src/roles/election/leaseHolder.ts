/**
 * The lease as this node holds it: taken, renewed, handed on and let go, with the term beside it.
 * One call to the service after another, so that no two of them mean different terms.
 */
import type { Position } from '../../../proto/position.ts'
import { WalcastError } from '../../errors.ts'
import { monotonicMs, wallMs } from '../../platform/time.ts'
import type { Term } from './electionRecord.ts'
import type { ElectionSeal } from './electionSeal.ts'
import type { LeaseService, Look } from './leaseService.ts'
import type { LeaseValidity } from './leaseValidity.ts'

export interface LeaseHolderParts {
  readonly service: LeaseService
  readonly seal: ElectionSeal
  readonly validity: LeaseValidity
  /** Of this node. */
  readonly node: () => string
  readonly address: string
  /** Whether `--ack` waits for replicas. */
  readonly isAcknowledged: boolean
  /** The highest epoch that this node knows. */
  epoch(): number
  /** Until when it has agreed that the leader goes on without the service, monotonic. */
  agreedUntilMs(): number
  position(): Position
}

export interface TakeHow {
  /** The epoch in which it is to lead, or a later one. */
  readonly atLeast: number
  /** It led last, and goes on in the same epoch if nobody has taken the lease since. */
  readonly asBefore: boolean
  /**
   * Whether it is certain that nobody has, also where the service does not tell: it lost its data,
   * say.
   */
  readonly isCertain?: boolean
}

export class LeaseHolder {
  readonly #parts: LeaseHolderParts
  #term: Term | undefined
  #turn: Promise<unknown> = Promise.resolve()
  /** Calls of `take` that have not ended. */
  #taking = 0
  /** A `take` whose answer was lost may have been carried out: it ends by itself then. */
  #unsureUntilMs = Number.NEGATIVE_INFINITY

  constructor(parts: LeaseHolderParts) {
    this.#parts = parts
  }

  /** The term for which this node took the lease last. */
  get term(): Term | undefined {
    return this.#term
  }

  /** Whether this node holds the lease, or may. */
  get mayHold(): boolean {
    const { lease } = this.#parts.validity
    return lease !== undefined || this.#taking > 0 || monotonicMs() < this.#unsureUntilMs
  }

  /**
   * Gives the epoch in which this node may lead. Throws LEASE_HELD, HIGHER_EPOCH when somebody has
   * led since (with `asBefore`), or ELECTION_AWAY.
   */
  async take(how: TakeHow): Promise<number> {
    // From now on this node agrees to nobody else's leading on: see `Agreement`.
    this.#taking++
    try {
      return await this.#exclusively(() => this.#takeInTurn(how))
    } finally {
      this.#taking--
    }
  }

  /**
   * The term says so before the role file does. Throws LEASE_LOST or ELECTION_AWAY: the node must
   * not begin to lead in this epoch.
   */
  requireEpoch(epoch: number): Promise<void> {
    return this.#exclusively(async () => {
      this.#requireValid()
      if ((this.#term?.epoch ?? 0) < epoch) await this.#amend({ epoch })
    })
  }

  /** Whose confirmations count from now on. Throws as `requireEpoch`. */
  count(counted: readonly string[], floor: Position): Promise<void> {
    return this.#exclusively(async () => {
      await this.#amend({ counted, floor })
    })
  }

  /** False: it has ended, and somebody else may have it. Throws ELECTION_AWAY. */
  renew(): Promise<boolean> {
    return this.#exclusively(async () => {
      const { service, validity } = this.#parts
      const { lease } = validity
      if (!lease) return false
      const renewed = await service.renew(lease)
      if (validity.lease !== undefined) {
        if (renewed) validity.hold(renewed)
        else validity.endLease()
      }
      return renewed !== undefined
    })
  }

  /**
   * The lease ends, and that node takes it before all others. This node must be fenced. Throws
   * LEASE_LOST or ELECTION_AWAY.
   */
  handTo(heir: string): Promise<void> {
    return this.#exclusively(async () => {
      this.#requireValid()
      const { service, seal, validity } = this.#parts
      const [lease, term] = [validity.lease, this.#term]
      if (!lease || !term) throw lost('it was never taken, or has ended')
      // From before it is let go: nothing is let in that another node may not know of.
      validity.end()
      const isGiven = await service.release(lease, seal.sealTerm({ ...term, heir }))
      if (!isGiven) throw lost('it had ended already')
    })
  }

  /**
   * Lets go of it at once, if it is held. This node must be fenced, or follow. Never throws: what
   * cannot be told ends by itself.
   */
  async release(): Promise<void> {
    const { service, seal, validity } = this.#parts
    const { lease } = validity
    // At once: whatever else this node is about to do, it does without it.
    validity.end()
    if (!lease) return
    await this.#exclusively(async () => {
      const term = this.#term
      await (term ? service.release(lease, seal.sealTerm(term)) : service.release(lease))
    }).catch(() => {})
  }

  /** Somebody has written something else beside the lease: the term again. Throws as `count`. */
  restoreTerm(): Promise<void> {
    return this.#exclusively(async () => {
      await this.#amend({})
    })
  }

  async #takeInTurn(how: TakeHow): Promise<number> {
    const { service, seal, validity } = this.#parts
    if (validity.lease && this.#term && (how.asBefore || this.#term.epoch >= how.atLeast))
      return this.#term.epoch
    if (validity.lease) return (await this.#amend({ epoch: how.atLeast })).epoch
    const look = await service.look()
    const before = look.value === undefined ? undefined : seal.termIn(look.value)
    if (look.isHeld)
      throw new WalcastError('LEASE_HELD', { node: before?.node ?? 'that this one cannot read' })
    if (!how.asBefore) this.#requireNotAgreed(before)
    return (await this.#takeFree(look, this.#termFor(how, before))).epoch
  }

  /** The leader counts on it, unless it has handed the lease to this node since. */
  #requireNotAgreed(before: Term | undefined): void {
    const { agreedUntilMs, node } = this.#parts
    if (monotonicMs() >= agreedUntilMs() || before?.heir === node()) return
    throw new WalcastError('LEASE_HELD', { node: before?.node ?? 'that this one has agreed to' })
  }

  #termFor(how: TakeHow, before: Term | undefined): Term {
    const { atLeast, asBefore } = how
    const { node, address, isAcknowledged, epoch, position } = this.#parts
    const known = epoch()
    const own = node()
    if (asBefore) this.#requireLedLast(how, before)
    const last = Math.max(before?.epoch ?? 0, known)
    const goesOn = asBefore && before?.node === own
    return {
      epoch: asBefore ? last : Math.max(last + 1, atLeast),
      node: own,
      address,
      isAcknowledged,
      counted: goesOn ? before.counted : [],
      floor: goesOn ? before.floor : position(),
      heir: '',
      serial: this.#serialAfter(before),
    }
  }

  /** Above all that were written in the same epoch, as far as clocks are not set back. */
  #serialAfter(before: Term | undefined): number {
    const last = Math.max(before?.serial ?? 0, this.#term?.serial ?? 0)
    return Math.max(last + 1, Math.floor(wallMs()))
  }

  /** Throws HIGHER_EPOCH, or LEASE_LOST when nothing tells. */
  #requireLedLast({ isCertain = false }: TakeHow, before: Term | undefined): void {
    const { node, epoch } = this.#parts
    const [own, mine] = [node(), epoch()]
    if (before && before.node !== own && before.epoch >= mine)
      throw new WalcastError('HIGHER_EPOCH', { node: before.node, theirs: before.epoch, mine })
    if (isCertain || (before?.node === own && before.epoch >= mine)) return
    throw lost('the lock service does not tell that it led last, and not every member does')
  }

  async #takeFree({ mark }: Look, term: Term): Promise<Term> {
    const { service, seal, validity } = this.#parts
    const sentMs = monotonicMs()
    try {
      const lease = await service.take(mark, seal.sealTerm(term))
      if (!lease) throw new WalcastError('LEASE_HELD', { node: 'that was faster' })
      this.#term = term
      validity.hold(lease)
      this.#unsureUntilMs = Number.NEGATIVE_INFINITY
      return term
    } catch (error) {
      // Until what may have been taken has ended in the service.
      if (!(error instanceof WalcastError) || error.key !== 'LEASE_HELD')
        this.#unsureUntilMs = monotonicMs() + 2 * (monotonicMs() - sentMs) + this.#ttlMs
      throw error
    }
  }

  async #amend(change: Partial<Term>): Promise<Term> {
    const { service, seal, validity } = this.#parts
    const { lease } = validity
    if (!lease || !this.#term) throw lost('it was never taken, or has ended')
    const term = { ...this.#term, ...change, serial: this.#serialAfter(undefined) }
    if (!(await service.amend(lease, seal.sealTerm(term)))) {
      validity.endLease()
      throw lost('it has ended')
    }
    this.#term = term
    return term
  }

  #requireValid(): void {
    if (monotonicMs() >= this.#parts.validity.untilMs) throw lost('it has run out')
  }

  #exclusively<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(act, act)
    this.#turn = turn.catch(() => {})
    return turn
  }

  get #ttlMs(): number {
    return this.#parts.validity.ttlMs
  }
}

function lost(detail: string): WalcastError {
  return new WalcastError('LEASE_LOST', { detail })
}
