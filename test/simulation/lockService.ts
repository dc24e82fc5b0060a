/**
 * The lock service of a simulated cluster, on a machine of its own whose clock has a rate of its
 * own: calls take a while, are late, lost, or carried out though nobody hears the answer. It may be
 * away, cut from single nodes, lose all that it had, or have the lease ended by an operator.
 */
import { WalcastError } from '../../src/errors.ts'
import { monotonicMs } from '../../src/platform/time.ts'
import type {
  Lease,
  LeaseService,
  LeaseServiceSetup,
} from '../../src/roles/election/leaseService.ts'
import { MemoryElection, MemoryLease } from '../support/memoryLease.ts'
import type { Owner, Scheduler } from './scheduler.ts'
import type { SeededRandom } from './seededRandom.ts'
import type { Trace } from './trace.ts'

const LATENCY_MS = [0.2, 8] as const
/** Of all calls, while the service is troubled. */
const LATE = 0.03
const UNHEARD = 0.03
const LATE_MS = [100, 3000] as const

type Call = <T>(act: (lease: MemoryLease) => Promise<T>) => Promise<T>

interface Watcher {
  readonly node: string
  readonly owner: Owner
  readonly signal: AbortSignal
  readonly onChange: () => void
}

export class LockService implements Owner {
  readonly isAlive = true
  readonly clockRate: number
  readonly #scheduler: Scheduler
  readonly #random: SeededRandom
  readonly #trace: Trace
  readonly #cut = new Set<string>()
  readonly #watchers = new Set<Watcher>()
  readonly #election = new MemoryElection()
  #isAway = false
  /** Whether calls are late or unheard. */
  isTroubled = false

  constructor(scheduler: Scheduler, random: SeededRandom, trace: Trace, clockRate: number) {
    this.#scheduler = scheduler
    this.#random = random
    this.#trace = trace
    this.clockRate = clockRate
    this.#election.watch(() => this.#tell(() => true))
  }

  /** Of the process whose event happens. */
  open(setup: LeaseServiceSetup): LeaseService {
    return new SimulatedLease(setup, this)
  }

  cutFrom(node: string): void {
    this.#trace.add('lock service', `is cut from ${node}`)
    this.#cut.add(node)
  }

  goAway(): void {
    this.#trace.add('lock service', 'is away')
    this.#isAway = true
  }

  heal(): void {
    this.#trace.add('lock service', 'is reached by all')
    const reaches = (node: string) => this.#isAway || this.#cut.has(node)
    const nodes = [...this.#watchers].map(({ node }) => node).filter(reaches)
    this.#isAway = false
    this.#cut.clear()
    this.#tell((node) => nodes.includes(node))
  }

  /** As an operator with the service's own tool. */
  revoke(): void {
    this.#trace.add('lock service', 'the lease is revoked')
    this.#scheduler.as(this, () => this.#election.revoke())
  }

  /** Its data is gone. */
  restartEmpty(): void {
    this.#trace.add('lock service', 'is restarted empty')
    this.#scheduler.as(this, () => this.#election.restartEmpty())
  }

  watch(watcher: Watcher): void {
    this.#watchers.add(watcher)
    watcher.signal.addEventListener('abort', () => this.#watchers.delete(watcher), { once: true })
  }

  /** Calls of one node, in whose event this is. */
  callsOf(setup: LeaseServiceSetup): Call {
    const lease = new MemoryLease(this.#election, setup)
    return (act) => this.#call(setup, () => act(lease))
  }

  get owner(): Owner {
    return this.#scheduler.owner
  }

  #call<T>({ node, timeoutMs }: LeaseServiceSetup, act: () => Promise<T>): Promise<T> {
    const from = this.#scheduler.owner
    const [isLate, isUnheard] = [this.#happens(LATE), this.#happens(UNHEARD)]
    return new Promise((resolve, reject) => {
      const away = () =>
        reject(new WalcastError('ELECTION_AWAY', { service: 'simulated', detail: 'no answer' }))
      this.#scheduler.after(timeoutMs, away, from)
      const arrive = () => {
        if (!this.#isReached(node)) return
        // It may have been carried out all the same.
        const answer = (end: () => void) => {
          if (isUnheard || !this.#isReached(node)) return
          this.#scheduler.after(this.#latencyMs(), end, from)
        }
        act().then(
          (value) => answer(() => resolve(value)),
          (error) => answer(() => reject(error)),
        )
      }
      const afterMs = isLate ? this.#random.between(...LATE_MS) : this.#latencyMs()
      this.#scheduler.after(afterMs, arrive, this)
    })
  }

  /** After a while, as a service tells it. */
  #tell(isTold: (node: string) => boolean): void {
    for (const { node, owner, signal, onChange } of this.#watchers) {
      if (!isTold(node) || !this.#isReached(node)) continue
      const hear = () => {
        if (!signal.aborted) onChange()
      }
      this.#scheduler.after(this.#latencyMs(), hear, owner)
    }
  }

  #isReached(node: string): boolean {
    return !this.#isAway && !this.#cut.has(node)
  }

  #happens(probability: number): boolean {
    return this.isTroubled && this.#random.isTrue(probability)
  }

  #latencyMs(): number {
    return this.#random.between(...LATENCY_MS)
  }
}

/** The service as a process of a node has it. */
class SimulatedLease implements LeaseService {
  readonly name = 'simulated'
  readonly #setup: LeaseServiceSetup
  readonly #service: LockService
  readonly #call: Call

  constructor(setup: LeaseServiceSetup, service: LockService) {
    this.#setup = setup
    this.#service = service
    this.#call = service.callsOf(setup)
  }

  probe = () => this.#call((lease) => lease.probe())
  look = () => this.#call((lease) => lease.look())
  amend = (held: Lease, value: string) => this.#call((lease) => lease.amend(held, value))
  release = (held: Lease, value?: string) => this.#call((lease) => lease.release(held, value))
  publish = (note: string) => this.#call((lease) => lease.publish(note))
  keepNote = () => this.#call((lease) => lease.keepNote())
  withdrawNote = () => this.#call((lease) => lease.withdrawNote())
  notes = () => this.#call((lease) => lease.notes())
  take = (mark: string, value: string) => this.#sent((lease) => lease.take(mark, value))
  renew = (held: Lease) => this.#sent((lease) => lease.renew(held))

  watch(onChange: () => void, signal: AbortSignal): void {
    const { node } = this.#setup
    this.#service.watch({ node, owner: this.#service.owner, signal, onChange })
  }

  async close(): Promise<void> {}

  /** By the clock of the process that asks. */
  async #sent(act: (lease: MemoryLease) => Promise<Lease | undefined>): Promise<Lease | undefined> {
    const sentMs = monotonicMs()
    const lease = await this.#call(act)
    return lease && { ...lease, sentMs }
  }
}
