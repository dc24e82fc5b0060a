/**
 * The lease in Consul. Its holder is a key that a session of the leader holds, and the value is a
 * key beside it; transactions change both or neither.
 *
 * Consul ends a session late, up to twice its TTL after the last renewal, and a new leader of
 * Consul's own counts each TTL anew. Both only lengthen what this node may count on, which is one
 * TTL from the moment that a renewal was sent. So a failover takes up to two TTL, and with Consul's
 * least TTL of 10 s up to 20 s.
 *
 * A renewal asks two things: that the session lives on, and that it still holds the key, which an
 * operator may have removed. Sessions end by their TTL or by hand and by nothing else.
 */
import { monotonicMs } from '../../platform/time.ts'
import { type AgentAnswer, type ConsulAccess, ConsulAgent } from './consul/agent.ts'
import { CandidateNote } from './consul/candidateNote.ts'
import {
  type ConsulKeys,
  consulKeys,
  keyPath,
  LEASE_BYTES,
  lookAt,
  NOTES_BYTES,
  notesIn,
  storedKeys,
  written,
} from './consul/keys.ts'
import { LeaseWatch } from './consul/leaseWatch.ts'
import { probeConsul } from './consul/probe.ts'
import { ConsulSessions } from './consul/sessions.ts'
import { type KeyOperation, transact } from './consul/transaction.ts'
import type { Lease, LeaseService, LeaseServiceSetup, Look } from './leaseService.ts'

/** The mark of a lease that nobody held: the index of its value's last change. */
const FREE_MARK = /^\d{1,16}$/
/** A probe may take as long as so many calls. */
const PROBE_CALLS = 3

export class ConsulLease implements LeaseService {
  readonly name: string
  readonly #agent: ConsulAgent
  readonly #keys: ConsulKeys
  readonly #sessions: ConsulSessions
  readonly #note: CandidateNote
  readonly #timeoutMs: number
  readonly #closed = new AbortController()
  /** Sessions that are of no use any more and may end by themselves. */
  readonly #endings = new Set<Promise<void>>()

  constructor({ node, prefix, ttlMs, timeoutMs }: LeaseServiceSetup, access: ConsulAccess) {
    this.#agent = new ConsulAgent(access, timeoutMs)
    this.name = this.#agent.name
    this.#keys = consulKeys(prefix, node)
    this.#sessions = new ConsulSessions(this.#agent, `walcast ${node}`, ttlMs)
    this.#note = new CandidateNote(this.#agent, this.#keys, this.#sessions)
    this.#timeoutMs = timeoutMs
  }

  probe(): Promise<void> {
    const untilMs = monotonicMs() + PROBE_CALLS * this.#timeoutMs
    return probeConsul(this.#agent, this.#keys, this.#sessions, untilMs)
  }

  async look(): Promise<Look> {
    const answer = await this.#under(this.#keys.lease, LEASE_BYTES)
    const { value, isHeld, mark } = lookAt(this.#agent, this.#keys, storedKeys(this.#agent, answer))
    return { value, isHeld, mark }
  }

  async take(mark: string, value: string): Promise<Lease | undefined> {
    if (!FREE_MARK.test(mark)) return undefined
    const untilMs = this.#untilMs()
    const begun = await this.#sessions.begin(untilMs)
    const steps: readonly KeyOperation[] = [
      { Verb: 'cas', Key: this.#keys.value, Index: Number(mark), ...written(value) },
      { Verb: 'lock', Key: this.#keys.holder, Session: begun.id },
    ]
    let isTaken = false
    try {
      isTaken = await transact(this.#agent, steps, untilMs)
    } finally {
      // Without an answer it may be taken: nobody would renew it.
      if (!isTaken) this.#endSoon(begun.id)
    }
    return isTaken ? begun : undefined
  }

  async renew({ id }: Lease): Promise<Lease | undefined> {
    const untilMs = this.#untilMs()
    const sentMs = monotonicMs()
    const ttlMs = await this.#sessions.renew(id, untilMs)
    if (ttlMs === undefined) return undefined
    return (await transact(this.#agent, [this.#held(id)], untilMs))
      ? { id, ttlMs, sentMs }
      : undefined
  }

  amend({ id }: Lease, value: string): Promise<boolean> {
    return transact(this.#agent, [this.#held(id), this.#set(value)], this.#untilMs())
  }

  async release({ id }: Lease, value?: string): Promise<boolean> {
    const steps = [
      this.#held(id),
      { Verb: 'delete', Key: this.#keys.holder } as const,
      ...(value === undefined ? [] : [this.#set(value)]),
    ]
    const isReleased = await transact(this.#agent, steps, this.#untilMs())
    if (isReleased) this.#endSoon(id)
    return isReleased
  }

  publish(note: string): Promise<void> {
    return this.#note.publish(note, this.#untilMs())
  }

  keepNote(): Promise<void> {
    return this.#note.keep(this.#untilMs())
  }

  withdrawNote(): Promise<void> {
    return this.#note.withdraw(this.#untilMs())
  }

  async notes(): Promise<readonly string[]> {
    return notesIn(storedKeys(this.#agent, await this.#under(this.#keys.notes, NOTES_BYTES)))
  }

  watch(onChange: () => void, signal: AbortSignal): void {
    const watch = new LeaseWatch(this.#agent, this.#keys, this.#timeoutMs)
    void watch.run(onChange, AbortSignal.any([signal, this.#closed.signal]))
  }

  async close(): Promise<void> {
    this.#closed.abort()
    await Promise.all(this.#endings)
    await this.#agent.close()
  }

  #untilMs(): number {
    return monotonicMs() + this.#timeoutMs
  }

  #held(Session: string): KeyOperation {
    return { Verb: 'check-session', Key: this.#keys.holder, Session }
  }

  #set(value: string): KeyOperation {
    return { Verb: 'set', Key: this.#keys.value, ...written(value) }
  }

  #under(keys: string, maxBytes: number): Promise<AgentAnswer> {
    const query = { recurse: '', consistent: '' }
    const untilMs = this.#untilMs()
    return this.#agent.request({ method: 'GET', path: keyPath(keys), query, untilMs, maxBytes })
  }

  #endSoon(session: string): void {
    const ending = this.#sessions.end(session, this.#untilMs()).catch(() => {})
    this.#endings.add(ending)
    void ending.then(() => this.#endings.delete(ending))
  }
}
