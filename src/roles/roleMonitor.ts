/**
 * Looks after who leads, beside the changes that somebody asks for: a leader gives way to a higher
 * epoch, one that stood still asks before it takes the next write, and a node without a leader
 * finds the one that is there.
 */
import { parseTrail } from '../../proto/lineage.ts'
import type { NodePlace } from '../api/roleAnswers.ts'
import type { Members } from '../cluster/members.ts'
import type { NodeRecord } from '../cluster/nodeFile.ts'
import type { PeerAnswer } from '../cluster/peerCalls.ts'
import type { HigherEpoch, NodeSetup } from '../database/engine.ts'
import type { LeaderEngine } from '../database/leaderEngine.ts'
import type { ReplicaEngine } from '../database/replicaEngine.ts'
import { messageOf, WalcastError } from '../errors.ts'
import type { ReplicaList } from '../feed/replicaList.ts'
import { isPutBack, type SeenHistory } from '../feed/seenHistory.ts'
import type { Clock } from '../platform/clock.ts'
import { wallMs } from '../platform/time.ts'
import type { WriteGate } from '../proxy/writeGate.ts'
import { PeerPoller } from './election/peerPoller.ts'
import { isBehind, leaderAmong, leaderFor, rivalAmong } from './election/precedence.ts'
import type { TwinWatch } from './twinWatch.ts'

export interface RoleMonitorHost {
  readonly setup: NodeSetup
  readonly clock: Clock
  readonly members: Members
  readonly replicas: ReplicaList
  readonly admission: WriteGate
  /** Random id of this process. */
  readonly instance: string
  readonly twins: TwinWatch
  record(): NodeRecord
  /** HOST:PORT of this node. */
  address(): string
  engine(): LeaderEngine | ReplicaEngine | undefined
  /** Whether a change of role is under way, or none can be. */
  isChanging(): boolean
  /** Whether the node has not had its first role yet. */
  isStarting(): boolean
  /** Resolves when no change of role is under way. Never rejects. */
  untilChanged(): Promise<unknown>
  /** Has the node change its role, one change at a time; a failure is logged. */
  inBackground(what: string, change: () => Promise<void>): void
  stepDown(engine: LeaderEngine, reason: string, leader: string | undefined): Promise<void>
  /** Goes on leading in this epoch, which begins with the very state that is there. */
  raise(engine: LeaderEngine, epoch: number, reason: string): Promise<void>
  /**
   * Goes on leading above what another node has of this node's own history, and this node has not.
   */
  raiseAboveLost(seen: readonly SeenHistory[]): Promise<void>
  followAt(leader: string): Promise<void>
  /** Tells the node at this address that this one leads. */
  tellToFollow(address: string): Promise<unknown>
}

/** A leaf of a tree waits for the replica that fed it before it looks for the leader itself. */
const RELAY_PATIENCE_MS = 10_000
/**
 * Cookies are not signed: an epoch that never was must not have the others asked for every request.
 */
const ASK_AGAIN_MS = 5000
const ASK_MORE_MS = 250

export class RoleMonitor {
  readonly #host: RoleMonitorHost
  readonly #lookout: PeerPoller
  #lostMs = 0
  /** The latest epoch that the others were asked about since somebody had seen it, and when. */
  #askedEpoch = 0
  #askedEpochMs = Number.NEGATIVE_INFINITY
  #asking: Promise<void> = Promise.resolve()
  /**
   * It stood still during a change of role, or its start: what is to be asked is asked after that.
   */
  #hasStoodStill = false

  constructor(host: RoleMonitorHost) {
    this.#host = host
    const { peerLookMs: lookMs, peerTimeoutMs: timeoutMs, frozenMs } = host.setup.options
    this.#lookout = new PeerPoller(
      { lookMs, timeoutMs, frozenMs },
      {
        wallMs: () => wallMs(),
        monotonicMs: () => host.clock.nowMs(),
        cluster: () => host.record().cluster,
        node: () => host.record().node,
        address: () => host.address(),
        instance: host.instance,
        onTwin: (twin) => host.twins.onTwin(twin),
        whomToAsk: () => this.#whomToAsk(),
        onAnswers: (answers) => this.#onAnswers(answers),
        onFrozen: (forMs) => this.#onFrozen(forMs),
      },
    )
  }

  /**
   * To be called before the others are asked for the first time: a node may stand still while it
   * starts.
   */
  start(): void {
    this.#lookout.start()
  }

  stop(): Promise<void> {
    return this.#lookout.stop()
  }

  /** To be called before anything that only a leader may do. Cheap. */
  checkAlive(): void {
    this.#lookout.checkAlive()
  }

  /** A change of role is over, or the start. */
  onChanged(): void {
    if (!this.#hasStoodStill) return
    this.#hasStoodStill = false
    this.#askWhetherLeading()
  }

  /**
   * Asks everybody before a starting leader lets anybody write. Gives what they have seen of this
   * node's own history. Throws NODE_ID_TAKEN, or HIGHER_EPOCH with the rival for `onRival`.
   */
  async requireNoRival(onRival: (leader: string) => void): Promise<readonly SeenHistory[]> {
    const { answers } = await this.askEverybody()
    this.#host.twins.requireOwn()
    const { own, others } = this.#sorted(answers)
    const rival = rivalAmong(others, this.#host.record())
    if (!rival) return own
    onRival(leaderFor(rival) ?? '')
    const { node, epoch } = rival
    throw new WalcastError('HIGHER_EPOCH', { node, theirs: epoch, mine: this.#host.record().epoch })
  }

  async askEverybody(): Promise<{ readonly answers: PeerAnswer[]; readonly unheard: NodePlace[] }> {
    const answers = await this.#lookout.ask(this.#addressesOfAll())
    this.#host.twins.tellApart(answers)
    const heard = new Set(answers.map(({ node }) => node))
    return { answers, unheard: this.#host.members.list().filter(({ node }) => !heard.has(node)) }
  }

  /**
   * A process at this address says that it has this node's id. It is asked: its word alone counts
   * for nothing.
   */
  async lookAtTwin(address: string): Promise<void> {
    await this.#lookout.ask([address], (twin) => this.#host.twins.onTwin(twin, true))
  }

  /**
   * What replicas have of this node's own history or of another in its epoch, and the answers of
   * all others.
   */
  #sorted(answers: readonly PeerAnswer[]): {
    readonly own: SeenHistory[]
    readonly others: PeerAnswer[]
  } {
    const mine = this.#host.record()
    const isOwn = ({ role, lastLeader, epoch, term }: PeerAnswer) =>
      role !== 'leader' &&
      (lastLeader === mine.node || (epoch === mine.epoch && term === mine.term))
    return {
      own: answers.filter(isOwn).map(seenBy),
      others: answers.filter((each) => !isOwn(each)),
    }
  }

  /** The connection to the leader ended. */
  onLeaderLost(): void {
    this.#lostMs = this.#host.clock.nowMs()
    if (!this.#host.isChanging()) void this.#lookout.look()
  }

  /**
   * A node that is there has been in a higher epoch than this one: a leader looks into it, a
   * replica whether another node leads than what feeds it.
   */
  onHigherEpoch({ node, epoch, term, address }: HigherEpoch): void {
    const { admission, inBackground, stepDown, isChanging, record, members } = this.#host
    const engine = this.#host.engine()
    if (!engine || isChanging()) return
    if (epoch <= record().epoch && (term ?? 0) <= record().term) return
    if (engine.role === 'replica') return void this.onLaterPosition(epoch)
    inBackground('looking into a higher epoch', async () => {
      admission.hold('rival', 'another node may lead')
      const places = [address, members.addressOf(node) ?? ''].filter(Boolean)
      // Somebody else may answer there by now, this node itself too: nothing is known of the one
      // that said so then, and its word counts.
      const theirs = (await this.#lookout.ask(places)).find((each) => each.node === node)
      const told = theirs ?? { epoch, term: term ?? epoch }
      if (isBehind(told, record())) await this.#raiseAbove(engine, [told])
      else if (isBehind(record(), told))
        await stepDown(
          engine,
          `node ${node} has been in epoch ${epoch}`,
          theirs && leaderFor(theirs),
        )
      admission.release('rival')
    })
  }

  /**
   * Somebody has seen a later epoch than this node's: nothing is answered to a client before the
   * others were asked. Asked once an epoch, for a while.
   */
  async onLaterPosition(epoch: number): Promise<void> {
    const nowMs = this.#host.clock.nowMs()
    const restMs = epoch <= this.#askedEpoch ? ASK_AGAIN_MS : ASK_MORE_MS
    const isAsked = nowMs - this.#askedEpochMs < restMs
    if (isAsked) return this.#asking
    this.#askedEpoch = epoch
    this.#askedEpochMs = nowMs
    this.#asking = this.#lookAtOnce()
    return this.#asking
  }

  /** Never throws. */
  async #lookAtOnce(): Promise<void> {
    const { answers } = await this.askEverybody()
    this.#act(answers)
    await this.#host.untilChanged()
  }

  /**
   * A leader hears from those that are connected; a replica needs nobody else while it has a
   * leader.
   */
  #whomToAsk(): readonly string[] {
    const { members, replicas, isChanging } = this.#host
    const engine = this.#host.engine()
    if (isChanging() || !engine) return []
    const all = this.#addressesOfAll()
    if (engine.role === 'leader') {
      const connected = new Set(replicas.links().map(({ node }) => node))
      const heard = members
        .list()
        .flatMap(({ node, address }) => (connected.has(node) ? address : []))
      return all.filter((address) => !heard.includes(address))
    }
    const { connected, follows, leaderNode } = engine.replica.status
    if (connected) return []
    const wasRelayed = follows !== leaderNode
    return wasRelayed && this.#host.clock.nowMs() - this.#lostMs < RELAY_PATIENCE_MS ? [] : all
  }

  #addressesOfAll(): string[] {
    const { members, address } = this.#host
    const engine = this.#host.engine()
    const followed = engine?.role === 'replica' ? engine.replica.leaderAddress : undefined
    const { leader: given } = this.#host.setup.options
    const all = [...(given ? [given] : []), ...members.addresses(), ...(followed ? [followed] : [])]
    return [...new Set(all)].filter((each) => each !== address())
  }

  #onAnswers(answers: readonly PeerAnswer[]): void {
    this.#host.twins.tellApart(answers)
    this.#act(answers)
  }

  #act(answers: readonly PeerAnswer[]): void {
    const engine = this.#host.engine()
    if (this.#host.isChanging() || !engine) return
    if (engine.role === 'leader') this.#onRivals(engine, answers)
    else this.#onLeaderFound(engine, answers)
  }

  /** Nodes have what this leader lacks of its own history. */
  onPutBack(seen: readonly SeenHistory[]): void {
    const engine = this.#host.engine()
    if (engine?.role !== 'leader' || this.#host.isChanging()) return
    this.#host.inBackground('raising the epoch', () => this.#host.raiseAboveLost(seen))
  }

  #onRivals(engine: LeaderEngine, all: readonly PeerAnswer[]): void {
    const { log } = this.#host.setup
    const { own, others: answers } = this.#sorted(all)
    const rival = rivalAmong(answers, this.#host.record())
    if (rival) return this.#giveWay(engine, rival)
    const { lineage } = this.#host.record()
    if (own.some((seen) => isPutBack(engine.leader.position, lineage, seen)))
      return this.onPutBack(own)
    const { epoch: mine } = this.#host.record()
    if (answers.some(({ role, epoch }) => epoch > mine || (role === 'leader' && epoch === mine)))
      return this.#host.inBackground('raising the epoch', () => this.#raiseAbove(engine, answers))
    for (const { node, role, asked, epoch } of answers) {
      if (role !== 'leader') continue
      log.error({ node, address: asked, epoch }, 'another node leads too: it is told to give way')
      this.#host.tellToFollow(asked).catch((error) => {
        log.warn({ node, address: asked, error: messageOf(error) }, 'it was not to be told')
      })
    }
  }

  /**
   * Others know nothing of the last promotion and have begun later epochs by themselves: this one's
   * must be above them to be followed.
   */
  async #raiseAbove(
    engine: LeaderEngine,
    others: readonly { readonly epoch: number }[],
  ): Promise<void> {
    const epoch = Math.max(this.#host.record().epoch, ...others.map((each) => each.epoch)) + 1
    await this.#host.raise(
      engine,
      epoch,
      `epochs up to ${epoch - 1} were begun without knowing of the last promotion`,
    )
  }

  #giveWay(engine: LeaderEngine, rival: PeerAnswer): void {
    const { node, epoch, asked } = rival
    const mine = this.#host.record().epoch
    const { log } = this.#host.setup
    log.error({ node, address: asked, theirs: epoch, mine }, 'two nodes lead: this one gives way')
    const why =
      epoch === mine ? `leads in epoch ${epoch} too and has the higher id` : `is in epoch ${epoch}`
    this.#host.inBackground('giving way', () =>
      this.#host.stepDown(engine, `node ${node} ${why}`, leaderFor(rival)),
    )
  }

  #onLeaderFound(engine: ReplicaEngine, answers: readonly PeerAnswer[]): void {
    const record = this.#host.record()
    const best = leaderAmong(answers, record)
    if (!best || best.asked === engine.replica.leaderAddress) return
    // What feeds this node goes on to, unless it is from before the leader that was found.
    if (engine.replica.status.connected && !isBehind(record, best)) return
    this.#host.inBackground('following', () => this.#host.followAt(best.asked))
  }

  /** Much may have happened meanwhile: no write is let in before the others were asked. */
  #onFrozen(forMs: number): void {
    const isChanging = this.#host.isChanging() || this.#host.isStarting()
    // A replica may come to lead by the change that is under way.
    if (this.#host.engine()?.role !== 'leader' && !isChanging) return
    this.#host.setup.log.warn(
      { seconds: Math.round(forMs / 1000) },
      'this node stood still: asking who leads',
    )
    this.#host.admission.hold(
      'frozen',
      'this node stood still and asks the others whether it still leads',
    )
    if (isChanging) this.#hasStoodStill = true
    else this.#askWhetherLeading()
  }

  #askWhetherLeading(): void {
    const { admission, inBackground, stepDown } = this.#host
    const engine = this.#host.engine()
    if (engine?.role !== 'leader') return admission.release('frozen')
    inBackground('asking who leads', async () => {
      const { answers } = await this.askEverybody()
      const { own, others } = this.#sorted(answers)
      const rival = rivalAmong(others, this.#host.record())
      if (rival)
        return stepDown(engine, `node ${rival.node} is in epoch ${rival.epoch}`, leaderFor(rival))
      await this.#host.raiseAboveLost(own)
      admission.release('frozen')
    })
  }
}

function seenBy({ node, positionEpoch, txid, history, epoch, term }: PeerAnswer): SeenHistory {
  return {
    node,
    epoch: positionEpoch,
    txid,
    trail: parseTrail(history) ?? [],
    highestEpoch: epoch,
    term,
  }
}
