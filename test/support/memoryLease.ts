/** A lock service within this process, with faults: for tests of what stands on leases. */
import { WalcastError } from '../../src/errors.ts'
import { monotonicMs, setTimer } from '../../src/platform/time.ts'
import type {
  Lease,
  LeaseService,
  LeaseServiceSetup,
  Look,
} from '../../src/roles/election/leaseService.ts'

interface Held {
  readonly id: string
  readonly endMs: number
}

interface Note {
  readonly note: string
  readonly endMs: number
}

/** What all nodes share. */
export class MemoryElection {
  #value: string | undefined
  #held: Held | undefined
  #revision = 0
  #leases = 0
  readonly notes = new Map<string, Note>()
  readonly #watchers = new Set<() => void>()
  /** Nodes that do not reach it; `all` for every one. */
  readonly away = new Set<string>()

  get value(): string | undefined {
    return this.#value
  }

  get revision(): number {
    return this.#revision
  }

  get held(): Held | undefined {
    if (this.#held && this.#held.endMs <= monotonicMs()) this.#set(undefined, this.#value)
    return this.#held
  }

  requireReached(node: string): void {
    if (this.away.has('all') || this.away.has(node))
      throw new WalcastError('ELECTION_AWAY', { service: 'memory', detail: 'it is away' })
  }

  take(mark: string, value: string, ttlMs: number): string | undefined {
    if (this.held || mark !== String(this.#revision)) return undefined
    const id = String(++this.#leases)
    this.#set({ id, endMs: monotonicMs() + ttlMs }, value)
    this.#endLater(ttlMs)
    return id
  }

  renew(id: string, ttlMs: number): boolean {
    if (this.held?.id !== id) return false
    this.#held = { id, endMs: monotonicMs() + ttlMs }
    this.#endLater(ttlMs)
    return true
  }

  amend(id: string, value: string): boolean {
    if (this.held?.id !== id) return false
    this.#set(this.#held, value)
    return true
  }

  release(id: string, value = this.#value): boolean {
    if (this.held?.id !== id) return false
    this.#set(undefined, value)
    return true
  }

  /** As an operator with the service's own tool. */
  revoke(): void {
    this.#set(undefined, this.#value)
  }

  /** Its data is gone. */
  restartEmpty(): void {
    this.notes.clear()
    this.#set(undefined, undefined)
  }

  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange)
    return () => this.#watchers.delete(onChange)
  }

  #set(held: Held | undefined, value: string | undefined): void {
    this.#held = held
    this.#value = value
    this.#revision++
    for (const onChange of this.#watchers) setTimer(onChange, 1)
  }

  #endLater(ttlMs: number): void {
    setTimer(() => this.held, ttlMs + 1)
  }
}

export class MemoryLease implements LeaseService {
  readonly name = 'memory'
  readonly #election: MemoryElection
  readonly #setup: LeaseServiceSetup

  constructor(election: MemoryElection, setup: LeaseServiceSetup) {
    this.#election = election
    this.#setup = setup
  }

  async probe(): Promise<void> {
    this.#reach()
  }

  async look(): Promise<Look> {
    const { value, held, revision } = this.#reach()
    return { value, isHeld: held !== undefined, mark: String(revision) }
  }

  async take(mark: string, value: string): Promise<Lease | undefined> {
    const sentMs = monotonicMs()
    const { ttlMs } = this.#setup
    const id = this.#reach().take(mark, value, ttlMs)
    return id === undefined ? undefined : { id, ttlMs, sentMs }
  }

  async renew({ id }: Lease): Promise<Lease | undefined> {
    const sentMs = monotonicMs()
    const { ttlMs } = this.#setup
    return this.#reach().renew(id, ttlMs) ? { id, ttlMs, sentMs } : undefined
  }

  async amend({ id }: Lease, value: string): Promise<boolean> {
    return this.#reach().amend(id, value)
  }

  async release({ id }: Lease, value?: string): Promise<boolean> {
    return this.#reach().release(id, value)
  }

  async publish(note: string): Promise<void> {
    const { node, ttlMs } = this.#setup
    this.#reach().notes.set(node, { note, endMs: monotonicMs() + ttlMs })
  }

  async keepNote(): Promise<void> {
    const note = this.#reach().notes.get(this.#setup.node)?.note
    if (note !== undefined) await this.publish(note)
  }

  async withdrawNote(): Promise<void> {
    this.#reach().notes.delete(this.#setup.node)
  }

  async notes(): Promise<readonly string[]> {
    const all = [...this.#reach().notes.values()]
    return all.filter(({ endMs }) => endMs > monotonicMs()).map(({ note }) => note)
  }

  watch(onChange: () => void, signal: AbortSignal): void {
    const end = this.#election.watch(() => {
      if (!signal.aborted && !this.#election.away.has(this.#setup.node)) onChange()
    })
    signal.addEventListener('abort', end, { once: true })
  }

  async close(): Promise<void> {}

  #reach(): MemoryElection {
    this.#election.requireReached(this.#setup.node)
    return this.#election
  }
}
