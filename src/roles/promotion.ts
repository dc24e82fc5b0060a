/** Makes a leader of this node. From the role file on it leads, whatever happens to the process. */
import { type Standing, trailOf, withIncarnation } from '../../proto/lineage.ts'
import type { Position } from '../../proto/position.ts'
import type { NodePlace, PromoteAnswer } from '../api/roleAnswers.ts'
import { type NodeRecord, putBackMark } from '../cluster/nodeFile.ts'
import type { PeerAnswer } from '../cluster/peerCalls.ts'
import type { EngineParts } from '../database/engine.ts'
import { buildLeader, type LeaderEngine } from '../database/leaderEngine.ts'
import type { ReplicaEngine } from '../database/replicaEngine.ts'
import { type ErrorCode, keyOf, messageOf, WalcastError } from '../errors.ts'
import type { ExpectedReplica } from '../feed/replicaList.ts'
import { incarnationAfter, newIncarnation } from '../leader/incarnation.ts'
import { TXID_RESERVE } from '../leader/startup.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import { judge } from './election/fitness.ts'
import { isBehind } from './election/precedence.ts'

export interface PromotionParts {
  readonly parts: EngineParts
  own(): NodePlace
  askEverybody(): Promise<{
    readonly answers: readonly PeerAnswer[]
    readonly unheard: readonly NodePlace[]
  }>
  enter(engine: LeaderEngine): void
  /** Goes on as a replica; with no database at hand, from what is there. */
  follow(held: HeldDatabase | undefined, leader: string | undefined): Promise<unknown>
  orFatal<T>(step: Promise<T>): Promise<T>
  tellToFollow(address: string): Promise<Record<string, unknown>>
  said(reason: string, by: string): void
}

export interface PromoteHow {
  readonly force: boolean
  readonly dryRun: boolean
}

/** Where the copy must stand when nothing more comes, and until when this node may come to lead. */
export interface Expected extends Position {
  /** By this node's clock, ms. */
  readonly until: number
}

/** What begins when this node leads, or leads on in a higher epoch. */
export interface LeadershipBegins {
  readonly epoch: number
  /** The same as `epoch` when this is a promotion. */
  readonly term: number
  /** Whether the state that it begins with is known to be the cluster's. */
  readonly exact: boolean
  /**
   * The state of this leader was put back: where its history parted from what others have, and the
   * first txid above theirs.
   */
  readonly putBack?: { readonly follows: Standing; readonly txid: number; readonly reason: string }
}

/** By node id. */
type LastPlaces = ReadonlyMap<string, Pick<ExpectedReplica, 'position' | 'seenMs'>>

const OF_THE_DISK: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ROLE_UNSURE',
  'DISK_FULL',
  'WRITE_FAILED',
])
export const TOO_LATE = 'it was asked so long ago that another node may lead by now'

export class Promotion {
  readonly #host: PromotionParts

  constructor(host: PromotionParts) {
    this.#host = host
  }

  /** Throws LEADER_LIVES, NOT_FIT and what `lead` throws. */
  async promote(engine: ReplicaEngine, how: PromoteHow, by: string): Promise<PromoteAnswer> {
    const { own, askEverybody, parts } = this.#host
    const beganMs = parts.clock.nowMs()
    const { answers, unheard } = await askEverybody()
    const { reasons, lost } = this.#requireFit(engine, answers, how)
    const { epoch, txid } = engine.replica.position
    const { record } = parts.nodeFile
    const about = { ...own(), dryRun: how.dryRun, reasons, lost, unheard, from: { epoch, txid } }
    const tookMs = () => parts.clock.nowMs() - beganMs
    if (how.dryRun)
      return { ...about, role: engine.view.role(), epoch, txid, oldLeader: null, tookMs: tookMs() }
    if (reasons.length > 0) parts.setup.log.warn({ by, reasons, lost }, 'promoted by force')
    const highest = Math.max(epoch, record.epoch, ...answers.map((answer) => answer.epoch))
    const old = engine.replica.leaderAddress
    await this.lead(engine, highest + 1, `promoted by ${by}`, by, undefined, answers)
    const oldLeader = await this.#tellOldLeader(old, [...answers, ...unheard])
    for (const { asked } of answers) if (asked !== old) this.#tellInBackground(asked)
    const now = parts.nodeFile.record.promoted ?? { epoch: highest + 1, txid }
    return {
      ...about,
      role: 'leader',
      epoch: now.epoch,
      txid: now.txid,
      oldLeader,
      tookMs: tookMs(),
    }
  }

  /** What speaks against it, and what would be lost. */
  judge(engine: ReplicaEngine, answers: readonly PeerAnswer[]) {
    const { hasCopy, isTrusted, state } = engine.replica.status
    const { position, stoodAt } = engine.replica
    const leaderTxid = engine.replica.lag.summary().leaderTxid
    // Whoever does not know of the last promotion may have epochs of its own, which nothing here
    // follows from.
    const heard = answers.filter(({ term }) => term >= this.#host.parts.nodeFile.record.term)
    const peers = heard.map((each) => ({ ...each, address: each.asked }))
    const isSyncing = state === 'syncing'
    return judge({ hasCopy, isSyncing, isTrusted, position, leaderTxid, stoodAt }, peers)
  }

  #requireFit(
    engine: ReplicaEngine,
    answers: readonly PeerAnswer[],
    { force, dryRun }: PromoteHow,
  ) {
    const { isPossible, reasons, lost } = this.judge(engine, answers)
    const { record } = this.#host.parts.nodeFile
    const living = answers.find((answer) => answer.role === 'leader' && !isBehind(answer, record))
    const mayPass = isPossible && (force || dryRun)
    if (living && !mayPass)
      throw new WalcastError('LEADER_LIVES', {
        node: living.node,
        address: living.asked,
        epoch: living.epoch,
      })
    if (reasons.length > 0 && !mayPass)
      throw new WalcastError('NOT_FIT', { detail: reasons.join('; ') })
    const says = living ? [`node ${living.node} at ${living.asked} says that it leads`] : []
    return { reasons: [...says, ...reasons], lost }
  }

  /**
   * `expected`: where the copy must stand when nothing more comes; `answers`: what the others said
   * of themselves. Throws FENCE_FAILED, DISK_FULL, WRITE_FAILED or TAKE_OVER_FAILED, and then this
   * node follows as before, or cannot go on: its copy could not be given up; ROLE_UNSURE, and then
   * it follows, but may lead after its next start.
   */
  async lead(
    engine: ReplicaEngine,
    epoch: number,
    reason: string,
    by: string,
    expected?: Expected,
    answers: readonly PeerAnswer[] = [],
  ): Promise<void> {
    const { parts, follow, orFatal, said } = this.#host
    const leader = engine.replica.leaderAddress
    const places = lastPlaces(engine, answers, parts.clock.nowMs())
    const wasTrusted = engine.replica.status.isTrusted
    await engine.replica.holdLock(this.#lockMs(expected))
    // The role file says nothing of it yet: whoever asked may count on it that this node does not
    // lead.
    const held = await orFatal(engine.retire()).catch((error) => {
      throw new WalcastError('TAKE_OVER_FAILED', { detail: messageOf(error) }, error)
    })
    const wasWritten = wasTrusted && !engine.replica.status.isTrusted
    const refused = held && refusalOf(held, expected, wasWritten, parts.clock.nowMs())
    if (!held || refused) {
      await follow(held, leader)
      throw new WalcastError('TAKE_OVER_FAILED', {
        detail: refused ?? 'it has no whole copy of the database',
      })
    }
    const before = parts.nodeFile.record
    const built = await this.record(held.position, { epoch, term: epoch, exact: wasTrusted })
      .then(() => buildLeader(parts, held))
      .catch(async (error) => {
        const failure = await this.#takeBack(before, error)
        await follow(held, leader)
        throw failure
      })
    await this.#lead(built, places)
    said(reason, by)
  }

  /**
   * Under the write lock nobody can have written here: that it leads can be taken back. Gives what
   * to tell: with ROLE_UNSURE it is not certain that its next start finds a replica, and whoever
   * asked must not take that for a refusal.
   */
  async #takeBack(before: NodeRecord, error: unknown): Promise<unknown> {
    const { nodeFile } = this.#host.parts
    try {
      if (nodeFile.record.role === 'leader') await nodeFile.insist(standOf(before))
    } catch (failure) {
      return new WalcastError(
        'ROLE_UNSURE',
        { path: nodeFile.path, detail: messageOf(failure) },
        failure,
      )
    }
    if (OF_THE_DISK.has(keyOf(error) ?? 'INTERNAL')) return error
    return new WalcastError('TAKE_OVER_FAILED', { detail: messageOf(error) }, error)
  }

  /**
   * How long a writer that has the copy's lock is waited for. Whoever asked is to hear of it while
   * that still counts as a refusal.
   */
  #lockMs(expected: Expected | undefined): number {
    const { clock, setup } = this.#host.parts
    return expected
      ? Math.max(0, expected.until - clock.nowMs()) / 2
      : setup.options.switchoverTimeoutMs
  }

  /**
   * Leads with a database that was given up for it, fenced and drained, as the role file says by
   * now.
   */
  async leadFrom(held: HeldDatabase): Promise<void> {
    const { parts, orFatal } = this.#host
    await this.#lead(await orFatal(buildLeader(parts, held)), new Map())
  }

  async #lead(leading: LeaderEngine, places: LastPlaces): Promise<void> {
    const { parts, enter, orFatal } = this.#host
    enter(leading)
    await orFatal(leading.leader.admitWriters())
    parts.traffic.onLeading()
    // Those who were there are missed until they come.
    parts.replicas.expect(
      parts.members.list().map((member) => ({ ...member, ...places.get(member.node) })),
    )
  }

  /** In the role file: this node leads in an epoch that begins with the state at `place`. */
  record(place: Standing, { epoch, term, exact, putBack }: LeadershipBegins): Promise<void> {
    const { nodeFile, clock } = this.#host.parts
    const { record } = nodeFile
    const { node, lineage, txidCeiling } = record
    const [settled = place] = trailOf(place, lineage)
    const id = newIncarnation()
    const begun = incarnationAfter(putBack?.follows ?? settled, { id, epoch, leader: node, exact })
    const first = putBack?.txid ?? place.txid
    const at = new Date(clock.nowMs()).toISOString()
    return nodeFile.update({
      role: 'leader',
      epoch,
      term,
      txidCeiling: Math.max(txidCeiling, first + TXID_RESERVE),
      leader: '',
      incarnation: id,
      lineage: withIncarnation(lineage, begun),
      ...(term === epoch ? { promoted: { at, epoch, txid: first } } : {}),
      ...(putBack
        ? {
            putBack: putBackMark(
              at,
              { epoch, txid: first },
              { from: place, reason: putBack.reason },
            ),
          }
        : {}),
    })
  }

  async #tellOldLeader(
    address: string | undefined,
    known: readonly (PeerAnswer | NodePlace)[],
  ): Promise<PromoteAnswer['oldLeader']> {
    if (address === undefined) return null
    const node =
      known.find((each) => ('asked' in each ? each.asked : each.address) === address)?.node ?? ''
    try {
      await this.#host.tellToFollow(address)
      return { node, address, outcome: 'demoted' }
    } catch (error) {
      const outcome = keyOf(error) === 'NODE_UNREACHABLE' ? 'unreachable' : 'refused'
      return { node, address, outcome, detail: messageOf(error) }
    }
  }

  /** The others need not look for the leader themselves. */
  #tellInBackground(address: string): void {
    this.#host.tellToFollow(address).catch((error) => {
      const { log } = this.#host.parts.setup
      log.warn(
        { address, error: messageOf(error) },
        'a node could not be told who leads; it finds out itself',
      )
    })
  }
}

/**
 * Where the others stood when they were last heard of: the old leader as it told with its
 * heartbeats.
 */
function lastPlaces(
  { replica, view }: ReplicaEngine,
  answers: readonly PeerAnswer[],
  nowMs: number,
): LastPlaces {
  const places = new Map<string, Pick<ExpectedReplica, 'position' | 'seenMs'>>()
  const { leaderTxid } = replica.lag.summary()
  const staleMs = view.staleMs()
  if (leaderTxid > 0)
    places.set(replica.status.leaderNode, {
      position: { epoch: replica.position.epoch, txid: leaderTxid },
      seenMs: Number.isFinite(staleMs) ? nowMs - staleMs : undefined,
    })
  for (const { node, positionEpoch: epoch, txid } of answers)
    if (txid > 0) places.set(node, { position: { epoch, txid } })
  return places
}

/** What coming to lead changes of a role file. */
function standOf(record: NodeRecord): Partial<NodeRecord> {
  const { role, epoch, term, leader, incarnation, lineage, promoted } = record
  return { role, epoch, term, leader, incarnation, lineage, ...(promoted ? { promoted } : {}) }
}

function refusalOf(
  { position }: HeldDatabase,
  expected: Expected | undefined,
  wasWritten: boolean,
  nowMs: number,
): string | undefined {
  const { epoch, txid } = position
  if (wasWritten) return 'something else wrote to its copy'
  if (!expected) return undefined
  if (nowMs > expected.until) return TOO_LATE
  if (expected.epoch === epoch && expected.txid === txid) return undefined
  return `its copy moved on to ${epoch}-${txid}`
}
