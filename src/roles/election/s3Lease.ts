/**
 * Leases in an object store: for two hosts without a third. One object, `lead`, says who holds the
 * lease; each write of it is conditional on the ETag that its writer knows (`If-Match`, or
 * `If-None-Match: *` for the first). So writes form one chain, in which each one was made by who
 * knew the one before.
 *
 * S3 knows no leases, so this file ends them itself (`sightings.ts`): who sees one ETag for the
 * whole TTL, by its own clock, may replace exactly that one. A holder counts from before it sent
 * its write, all others from after they had read it. So none of them sees a lease end that its
 * holder still counts on. It also needs that a read gives what was written last, which S3 promises
 * since December 2020, and which `probe` asks of any store.
 *
 * A request whose answer was lost may have been carried out, or may still be, minutes later:
 *
 * - A late renewal, amendment or release does nothing once anyone has written since: its ETag is
 *   gone for good, since each write has a nonce. If nobody has, a lease looks new on which its
 *   holder no longer counts, and others wait one TTL more. So a holder that asked for a release
 *   counts on its lease no more, whatever the answer.
 * - A late `take` does nothing either once anyone has written since. If nobody has, the object
 *   names a holder that does not know of it: nobody leads by it, and others wait.
 * - In both cases the object names a lease of this process on which nobody counts: an orphan. The
 *   next `look` knows it by its name, and releases it.
 * - A write that finds its ETag gone reads the object. One that names this lease still is its own
 *   earlier write, and the write goes on from there; one with this write's nonce is this write,
 *   repeated by something on its way.
 * - While a write is on its way, its lease is no orphan: its answer may come yet.
 */
import { keyOf, WalcastError } from '../../errors.ts'
import { randomBytes } from '../../platform/random.ts'
import { monotonicMs } from '../../platform/time.ts'
import type { Lease, LeaseService, LeaseServiceSetup, Look } from './leaseService.ts'
import { away, type ElectionObjects, S3Objects, type UntilMs } from './s3/electionObjects.ts'
import { LeadChain, type NextLead, newNonce } from './s3/leadChain.ts'
import { type LeadContent, MAX_TTL_MS, requireShort } from './s3/leadObject.ts'
import { ObjectNotes } from './s3/objectNotes.ts'
import { watchByPolls } from './s3/polls.ts'
import { probeObjects } from './s3/probe.ts'
import type { Sighting } from './s3/sightings.ts'

const INSTANCE_BYTES = 12
/** Of one write that finds the object changed by its own earlier ones. */
const MAX_ROUNDS = 4
/** A look in so many parts of the TTL, where nothing tells of changes. */
const POLLS_IN_TTL = 4

/** The lease that this process took last. */
interface Held {
  readonly id: string
  /** Of the last write of it that was answered. */
  readonly sentMs: number
}

/** What a write changes. A `holder` of '' releases. */
type Change = Partial<Pick<LeadContent, 'value' | 'holder'>>

/**
 * `place`: as people write it. Keys come from the environment. Throws STORE_PLACE, STORE_KEYS or
 * SECRET_SHARED.
 */
export function openS3Lease(
  place: string,
  setup: LeaseServiceSetup,
  environment: NodeJS.ProcessEnv = process.env,
): LeaseService {
  return new S3Lease(new S3Objects(place, setup.prefix, setup.timeoutMs, environment), setup)
}

export class S3Lease implements LeaseService {
  readonly name: string
  readonly #objects: ElectionObjects
  readonly #timeoutMs: number
  readonly #ttlMs: number
  readonly #pollMs: number
  readonly #lead: LeadChain
  readonly #notes: ObjectNotes
  /** What the names of all leases of this process begin with. */
  readonly #instance: string
  /** What the probe said; undefined before it has an answer. */
  #probed: Promise<void> | undefined
  #leases = 0
  #held: Held | undefined
  /** Of all releases of one lease, so that a later one knows what an earlier one has done. */
  #releaseNonce: string | undefined
  /** Writes of `lead` that have neither been answered nor failed. */
  #writes = 0

  /** `pollMs`: between two looks of `watch`; a quarter of the TTL unless given. */
  constructor(objects: ElectionObjects, setup: LeaseServiceSetup, pollMs?: number) {
    this.name = objects.name
    this.#objects = objects
    this.#timeoutMs = setup.timeoutMs
    this.#ttlMs = Math.min(Math.ceil(setup.ttlMs), MAX_TTL_MS)
    this.#pollMs = pollMs ?? this.#ttlMs / POLLS_IN_TTL
    this.#lead = new LeadChain(objects, this.#ttlMs)
    this.#notes = new ObjectNotes(objects, setup.node, this.#ttlMs)
    this.#instance = `${setup.node}.${randomBytes(INSTANCE_BYTES).toString('hex')}.`
  }

  probe(): Promise<void> {
    this.#probed ??= probeObjects(this.#objects, this.#timeoutMs).catch((error) => {
      if (keyOf(error) === 'ELECTION_AWAY') this.#probed = undefined
      throw error
    })
    return this.#probed
  }

  async look(): Promise<Look> {
    const until = this.#until()
    const sighting = await this.#lead.read(until)
    if (!this.#isOrphan(sighting)) return this.#lookOf(sighting)
    return this.#lookOf(await this.#releaseOrphan(sighting, until))
  }

  /** A store that was away when it was to be probed is probed first. */
  async take(mark: string, value: string): Promise<Lease | undefined> {
    requireShort(value)
    await this.probe()
    const until = this.#until()
    const last = this.#lead.last
    const sighting = last?.etag === mark ? last : await this.#lead.read(until)
    if (sighting.etag !== mark || !this.#isFree(sighting)) return undefined
    const id = `${this.#instance}${++this.#leases}`
    return this.#whileWriting(async () => {
      const sentMs = monotonicMs()
      const { isWritten } = await this.#lead.replace(sighting, { value, holder: id }, until)
      if (!isWritten) return undefined
      this.#held = { id, sentMs }
      this.#releaseNonce = undefined
      return { id, ttlMs: this.#ttlMs, sentMs }
    })
  }

  async renew(lease: Lease): Promise<Lease | undefined> {
    const sentMs = await this.#change(lease, {})
    return sentMs === undefined ? undefined : { id: lease.id, ttlMs: this.#ttlMs, sentMs }
  }

  async amend(lease: Lease, value: string): Promise<boolean> {
    requireShort(value)
    return (await this.#change(lease, { value })) !== undefined
  }

  async release(lease: Lease, value?: string): Promise<boolean> {
    if (value !== undefined) requireShort(value)
    const change = { holder: '', ...(value === undefined ? {} : { value }) }
    return (await this.#change(lease, change)) !== undefined
  }

  async publish(note: string): Promise<void> {
    requireShort(note)
    await this.#notes.publish(note, this.#until())
  }

  keepNote(): Promise<void> {
    return this.#notes.keep(this.#until())
  }

  withdrawNote(): Promise<void> {
    return this.#notes.withdraw(this.#until())
  }

  notes(): Promise<readonly string[]> {
    return this.#notes.all(this.#until())
  }

  /** A holder whose renewals are answered needs no look: each of them proves what is there. */
  watch(onChange: () => void, signal: AbortSignal): void {
    // Ahead of the first `take`, which says what came of it.
    void this.probe().catch(() => undefined)
    watchByPolls({
      ...{ everyMs: this.#pollMs, onChange, signal },
      look: async () => {
        if (!this.#isRenewing()) await this.look()
        return this.#stateSeen()
      },
      changesAtMs: () => this.#freeLaterMs(),
    })
  }

  close(): Promise<void> {
    return this.#objects.close()
  }

  #until(): UntilMs {
    return monotonicMs() + this.#timeoutMs
  }

  /** When the request was sent that changed it; undefined when the lease has ended. */
  async #change({ id }: Lease, change: Change): Promise<number | undefined> {
    if (this.#hasLapsed(id)) return undefined
    return this.#whileWriting(() => this.#changeOwn(id, change, this.#until()))
  }

  async #changeOwn(id: string, change: Change, until: UntilMs): Promise<number | undefined> {
    const { last } = this.#lead
    let sighting = last?.content?.holder === id ? last : await this.#lead.read(until)
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const sentMs = monotonicMs()
      const before = sighting.content
      if (before?.holder !== id) {
        const isDone = before !== undefined && this.#isOwnRelease(before, change)
        this.#forget(id)
        return isDone ? sentMs : undefined
      }
      const replaced = await this.#lead.replace(sighting, this.#changed(before, change), until)
      if (replaced.isWritten) {
        if (change.holder === '') this.#forget(id)
        else if (this.#held?.id === id) this.#held = { id, sentMs }
        return sentMs
      }
      sighting = replaced.sighting
    }
    throw away(this.name, 'the lease changes faster than it can be written')
  }

  #changed({ value, holder }: LeadContent, change: Change): NextLead {
    const next = { value, holder, ...change }
    if (next.holder !== '') return next
    this.#releaseNonce ??= newNonce()
    return { ...next, nonce: this.#releaseNonce }
  }

  #forget(id: string): void {
    if (this.#held?.id === id) this.#held = undefined
    this.#releaseNonce = undefined
  }

  /** Whether an earlier call has released it so, and its answer was lost. */
  #isOwnRelease({ nonce, value }: LeadContent, change: Change): boolean {
    const isAsAsked = change.holder === '' && (change.value ?? value) === value
    return isAsAsked && nonce === this.#releaseNonce
  }

  async #whileWriting<T>(work: () => Promise<T>): Promise<T> {
    this.#writes++
    try {
      return await work()
    } finally {
      this.#writes--
    }
  }

  /** Whether this process took it, and counts on it no longer. */
  #hasLapsed(id: string): boolean {
    return this.#held?.id === id && monotonicMs() - this.#held.sentMs >= this.#ttlMs
  }

  #isOrphan({ content }: Sighting): boolean {
    if (!content?.holder.startsWith(this.#instance) || this.#writes > 0) return false
    return this.#held?.id !== content.holder || this.#hasLapsed(content.holder)
  }

  /** What is there then. When that failed it stays an orphan, which this process may take. */
  async #releaseOrphan(orphan: Sighting, until: UntilMs): Promise<Sighting> {
    const { value } = orphan.content ?? {}
    if (value === undefined) return orphan
    try {
      const released = { value, holder: '' }
      const replace = () => this.#lead.replace(orphan, released, until)
      return (await this.#whileWriting(replace)).sighting
    } catch (error) {
      if (error instanceof WalcastError) return orphan
      throw error
    }
  }

  #isFree(sighting: Sighting): boolean {
    return this.#lead.isFree(sighting) || this.#isOrphan(sighting)
  }

  #lookOf(sighting: Sighting): Look {
    const { etag, content } = sighting
    return { value: content?.value, isHeld: !this.#isFree(sighting), mark: etag }
  }

  #isRenewing(): boolean {
    return this.#held !== undefined && monotonicMs() - this.#held.sentMs < this.#ttlMs / 2
  }

  /** What `watch` tells of: renewals are no change. */
  #stateSeen(): string {
    const last = this.#lead.last
    if (!last) return ''
    const { value, holder } = last.content ?? {}
    return JSON.stringify([value, holder, this.#isFree(last)])
  }

  /** When what was seen last becomes free; undefined when it is. */
  #freeLaterMs(): number | undefined {
    const last = this.#lead.last
    return !last || this.#isFree(last) ? undefined : this.#lead.freeAtMs(last)
  }
}
