/**
 * A node that follows, as a candidate: its note in the lock service, and what it does when nobody
 * holds the lease.
 */

import type { Position } from '../../../proto/position.ts'
import type { PeerAnswer } from '../../cluster/peerAnswer.ts'
import { monotonicMs } from '../../platform/time.ts'
import type { CopyFacts } from '../state/roleFacts.ts'
import { type Candidacy, type CandidacyInput, candidacyOf } from './candidacy.ts'
import type { CandidateNote } from './electionRecord.ts'
import type { ElectionSeal } from './electionSeal.ts'
import type { Sight } from './electionSight.ts'
import type { LeaseHolder } from './leaseHolder.ts'
import type { LeaseService } from './leaseService.ts'
import { RENEW_AT } from './leaseValidity.ts'

export interface CandidateParts {
  readonly service: LeaseService
  readonly seal: ElectionSeal
  readonly holder: LeaseHolder
  readonly ttlMs: number
  readonly address: string
  readonly priority: number
  readonly neverLead: boolean
  /** Whether this node has never been of a cluster. */
  readonly isNew: boolean
  readonly maxLoss: number | undefined
  node(): string
  epoch(): number
  /** Undefined while no engine of a replica is in place. */
  copy(): CopyFacts | undefined
  /** Of the cluster, without this node. */
  members(): readonly { readonly node: string }[]
  /** For people, until when and by whom; undefined when they are not paused. */
  paused(): string | undefined
  agreedUntilMs(): number
  /** Which nodes answer now, and where they stand. */
  askOthers(): Promise<readonly PeerAnswer[]>
  /** Whether what another node claims in a note is believed. */
  isBelieved(note: CandidateNote): boolean
}

/** The lease was taken: this node is to lead in that epoch. */
export interface Elected {
  readonly epoch: number
  readonly reason: string
}

/** What is heard of other nodes since nobody holds the lease: see `CandidacyInput`. */
type Others = Pick<
  CandidacyInput,
  'notes' | 'heard' | 'unreported' | 'leaderAnswers' | 'someLeads'
> & {
  /** The highest epoch that each knows. */
  readonly known: readonly number[]
}

export class Candidate {
  readonly #parts: CandidateParts
  #published: { readonly text: string; readonly mark: string; readonly atMs: number } | undefined
  #keptMs = Number.NEGATIVE_INFINITY
  #restUntilMs: number
  #candidacy: Candidacy = { does: 'wait', why: 'the lease is held' }

  constructor(parts: CandidateParts) {
    this.#parts = parts
    // Before it began, this node may have agreed that a leader goes on, and has forgotten that. One
    // that is new in the cluster has agreed to nothing.
    this.#restUntilMs = parts.isNew ? Number.NEGATIVE_INFINITY : monotonicMs() + parts.ttlMs
  }

  /** What it does when nobody holds the lease, and why. */
  get candidacy(): Candidacy {
    return this.#candidacy
  }

  /** Whether this node is to be told that the lease makes `node` its leader. */
  isElsewhere(node: string): boolean {
    const copy = this.#parts.copy()
    if (!copy || copy.leaderNode === node) return false
    // A relay that feeds this node finds the leader itself.
    return !copy.connected || copy.follows === copy.leaderNode
  }

  /** Others go first for so long. */
  rest(ms: number): void {
    this.#restUntilMs = Math.max(this.#restUntilMs, monotonicMs() + ms)
  }

  /** Keeps the note of this node as it should be. Throws ELECTION_AWAY. */
  async keepNote(sight: Sight): Promise<void> {
    const { service, seal, ttlMs } = this.#parts
    const note = this.#note(sight)
    const text = JSON.stringify(note)
    const nowMs = monotonicMs()
    const published = this.#published
    const isUrgent = note.mark !== '' && note.mark !== published?.mark
    const isDue = text !== published?.text && nowMs - (published?.atMs ?? -ttlMs) >= ttlMs
    if (isUrgent || isDue) {
      await service.publish(seal.sealNote(note))
      this.#published = { text, mark: note.mark, atMs: nowMs }
      this.#keptMs = nowMs
    } else if (nowMs - this.#keptMs >= RENEW_AT * ttlMs) {
      await service.keepNote()
      this.#keptMs = nowMs
    }
  }

  /** It leads: it is no candidate any more. Throws ELECTION_AWAY. */
  async withdraw(): Promise<void> {
    if (!this.#published) return
    await this.#parts.service.withdrawNote()
    this.#published = undefined
  }

  /** Nobody holds the lease. Undefined: this node is not, or not yet, to. Throws ELECTION_AWAY. */
  async campaign(sight: Sight & { readonly freeSinceMs: number }): Promise<Elected | undefined> {
    const { holder, epoch, node } = this.#parts
    const copy = this.#parts.copy()
    if (!copy) return undefined
    const others = await this.#hear(sight)
    this.#candidacy = this.#judge(sight, copy, others)
    if (this.#candidacy.does !== 'campaign') return undefined
    const atLeast = Math.max(epoch(), copy.position.epoch, ...others.known) + 1
    const last = sight.term?.node
    // An operator or the leader may have had this node take it meanwhile.
    if (holder.mayHold) return undefined
    const taken = await holder.take({ atLeast, asBefore: false })
    const of = last === undefined || last === node() ? '' : ` of ${last}`
    return { epoch: taken, reason: `the lease${of} ended, and this node was to lead next` }
  }

  #note({ mark, isHeld }: Sight): CandidateNote {
    const { node, address, epoch, priority, neverLead, copy } = this.#parts
    const there = copy()
    return {
      node: node(),
      address,
      position: positionOf(there),
      checksum: there?.checksum ?? '',
      knownEpoch: epoch(),
      priority,
      mayLead: !neverLead && there !== undefined && this.#reasons(there).length === 0,
      mark: isHeld ? '' : mark,
    }
  }

  #judge(
    sight: Sight & { readonly freeSinceMs: number },
    copy: CopyFacts,
    { known, ...others }: Others,
  ): Candidacy {
    const { ttlMs, priority, maxLoss, node, paused, agreedUntilMs } = this.#parts
    return candidacyOf({
      nowMs: monotonicMs(),
      freeSinceMs: sight.freeSinceMs,
      ttlMs,
      node: node(),
      priority,
      position: positionOf(copy),
      leaderTxid: copy.leaderTxid,
      reasons: this.#reasons(copy),
      term: sight.term,
      isForeign: sight.isForeign,
      knownEpoch: Math.max(this.#parts.epoch(), ...known),
      ...others,
      members: this.#parts.members().map((member) => member.node),
      maxLoss,
      agreedUntilMs: agreedUntilMs(),
      restUntilMs: this.#restUntilMs,
      paused: paused(),
    })
  }

  #reasons({ hasCopy, isTrusted, state, stoodAt }: CopyFacts): readonly string[] {
    if (this.#parts.neverLead) return ['it was started with --never-lead']
    if (!hasCopy) return ['it has no whole copy of the database']
    const reasons: string[] = []
    if (state === 'syncing') reasons.push('it is being brought to the state of its leader')
    if (!isTrusted) reasons.push("its content is known to differ from its leader's")
    if (stoodAt) reasons.push('its copy was put back, or lost what was not synced')
    return reasons
  }

  async #hear({ mark, term }: Sight): Promise<Others> {
    const { service, seal, node, askOthers, isBelieved } = this.#parts
    const own = node()
    const [sealed, answers] = await Promise.all([service.notes(), askOthers()])
    const all = sealed
      .map((text) => seal.noteIn(text))
      .filter((note) => note !== undefined)
      .filter((note) => note.node !== own && isBelieved(note))
    const notes = all.filter((note) => note.mark === mark)
    const heard = new Map<string, Position>()
    for (const answer of answers)
      heard.set(answer.node, { epoch: answer.positionEpoch, txid: answer.txid })
    for (const note of notes) heard.set(note.node, note.position)
    const led = answers.find((each) => each.node === term?.node)
    return {
      notes,
      heard,
      leaderAnswers: led?.role === 'leader' && led.ready,
      someLeads: answers.some(({ role }) => role === 'leader'),
      unreported: all.filter((note) => note.mark !== mark).map((note) => note.node),
      known: [...all.map(({ knownEpoch }) => knownEpoch), ...answers.map(({ epoch }) => epoch)],
    }
  }
}

function positionOf(copy: CopyFacts | undefined): Position {
  return { epoch: copy?.position.epoch ?? 0, txid: copy?.position.txid ?? 0 }
}
