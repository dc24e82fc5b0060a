/**
 * The roles that a node has one after another, within one process: the application keeps its file and its connections.
 *
 *   replica ── promote, take-over: subscription ended ─> role file ─> capture begins ─> write lock let go ──> leader
 *   leader ── demote, switchover, a higher epoch: write lock taken ─> drained ─> role file ─> follows ──> replica
 *
 * The write lock is held from before the role file says that this node leads no more, and until after it says that it leads.
 */
import { type EpochBegin, withBegin } from '../../proto/lineage.ts'
import type { Position } from '../../proto/position.ts'
import { judge } from '../cluster/fitness.ts'
import { Lookout } from '../cluster/lookout.ts'
import { askPeer, type PeerAnswer, tellPeer } from '../cluster/peerCalls.ts'
import { givesWay } from '../cluster/rivalry.ts'
import { type ErrorCode, keyOf, messageOf, WalcastError } from '../errors.ts'
import {
  DEMOTE_PATH,
  type DemoteAnswer,
  type FitnessAnswer,
  type NodePlace,
  type PromoteAnswer,
  type RoleActions,
  SWITCHOVER_PATH,
  type SwitchoverAnswer,
} from '../http/roleRoutes.ts'
import { TXID_RESERVE } from '../leader/leader.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import type { EngineParts } from './engine.ts'
import { Handover } from './handover.ts'
import type { LateView } from './lateView.ts'
import { buildLeader, type LeaderEngine } from './leaderNode.ts'
import { buildReplica, type ReplicaEngine } from './replicaNode.ts'

export interface RolesParts
  extends Omit<EngineParts, 'mayLead' | 'onHigherEpoch' | 'onLeaderMoved' | 'onLeaderLost'> {
  readonly view: LateView
}

/** What speaks of this node's own state, and is certain: it has not come to lead. */
const NOT_TAKEN: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['NOT_FIT', 'ROLE_CHANGING', 'STARTING'])
/** Between two attempts to take the fence from a transaction that does not end. */
const FENCE_TRY_MS = 1000
/** A leaf of a tree waits for the replica that fed it before it looks for the leader itself. */
const RELAY_PATIENCE_MS = 10_000

export class Roles implements RoleActions {
  readonly #parts: RolesParts
  readonly #engineParts: EngineParts
  readonly #lookout: Lookout
  #engine: LeaderEngine | ReplicaEngine | undefined
  /** What is under way, for people. */
  #changing: string | undefined
  #change: Promise<unknown> = Promise.resolve()
  #rival: PeerAnswer | undefined
  #lostMs = 0
  #isRunning = false
  #stopped = false

  constructor(parts: RolesParts) {
    this.#parts = parts
    const { clock, nodeFile, setup, traffic } = parts
    const { peerLookMs: lookMs, peerTimeoutMs: timeoutMs, frozenMs } = setup.options
    this.#lookout = new Lookout(
      { lookMs, timeoutMs, frozenMs },
      {
        clock,
        cluster: () => nodeFile.record.cluster,
        node: () => nodeFile.record.node,
        whomToAsk: () => this.#whomToAsk(),
        onAnswers: (answers) => this.#onAnswers(answers),
        onFrozen: (forMs) => this.#onFrozen(forMs),
      },
    )
    this.#engineParts = {
      ...parts,
      mayLead: () => this.#mayLead(),
      onHigherEpoch: (node, epoch, address) => this.#onHigherEpoch(node, epoch, address),
      onLeaderMoved: ({ address, epoch }) => this.#onLeaderMoved(address, epoch),
      onLeaderLost: () => this.#onLeaderLost(),
    }
    traffic.checkLeading = () => this.#lookout.checkAlive()
    traffic.onHigherEpoch = (node, epoch) => this.#onHigherEpoch(node, epoch, '')
  }

  get engine(): LeaderEngine | ReplicaEngine | undefined {
    return this.#engine
  }

  /** Whether roles may be changed now. */
  get isRunning(): boolean {
    return this.#isRunning && !this.#stopped
  }

  get address(): string {
    const { advertise, listen } = this.#parts.setup.options
    return advertise ?? listen
  }

  /** In the role of the role file, unless another node leads by now. */
  async start(): Promise<void> {
    const { nodeFile, traffic, setup } = this.#parts
    const { role, leader } = nodeFile.record
    if (role === 'leader' && (await this.#startLeading())) traffic.onLeading()
    else {
      const follows = nodeFile.record.leader || undefined
      if (role === 'leader' || leader !== (setup.options.leader ?? '')) traffic.onFollowing(follows)
      if (!follows) setup.log.warn('no leader is known: serving reads until a node is promoted')
      this.#enter(await buildReplica(this.#engineParts, follows))
    }
    this.#isRunning = true
    this.#lookout.start()
  }

  announceStop(): void {
    this.#stopped = true
    this.#engine?.announceStop()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#lookout.stop()
    await this.#change
    await this.#engine?.stop()
  }

  async promote(
    how: { readonly force: boolean; readonly dryRun: boolean },
    by: string,
  ): Promise<PromoteAnswer> {
    return this.#exclusively('a promotion', async () => {
      const beganMs = performance.now()
      const engine = this.#following()
      const { answers, unheard } = await this.#askEverybody()
      const { isPossible, reasons, lost } = this.#judge(engine, answers)
      const living = answers.find(({ role, epoch }) => role === 'leader' && epoch >= this.#record.epoch)
      if (!isPossible || (reasons.length > 0 && !how.force && !how.dryRun))
        throw new WalcastError('NOT_FIT', { detail: reasons.join('; ') })
      if (living && !how.force && !how.dryRun)
        throw new WalcastError('LEADER_LIVES', {
          node: living.node,
          address: living.asked,
          epoch: living.epoch,
        })
      const says = living ? [`node ${living.node} at ${living.asked} says that it leads`] : []
      const from = { epoch: engine.replica.position.epoch, txid: engine.replica.position.txid }
      const about = { dryRun: how.dryRun, reasons: [...says, ...reasons], lost, unheard, from }
      const { role } = this.#record
      const place = { node: this.#record.node, address: this.address }
      if (how.dryRun)
        return {
          ...place,
          ...about,
          role,
          epoch: from.epoch,
          txid: from.txid,
          oldLeader: null,
          tookMs: performance.now() - beganMs,
        }
      if (about.reasons.length > 0) this.#log.warn({ by, reasons: about.reasons, lost }, 'promoted by force')
      const highest = Math.max(from.epoch, this.#record.epoch, ...answers.map(({ epoch }) => epoch))
      const old = engine.replica.leaderAddress
      await this.#lead(engine, highest + 1, `promoted by ${by}`)
      const oldLeader = await this.#tellOldLeader(old, unheard)
      const { epoch, txid } = this.#parts.view.position()
      return {
        ...place,
        ...about,
        role: 'leader',
        epoch,
        txid,
        oldLeader,
        tookMs: performance.now() - beganMs,
      }
    })
  }

  async demote(
    how: { readonly leader: string | undefined; readonly epoch: number | undefined },
    by: string,
  ): Promise<DemoteAnswer> {
    const beganMs = performance.now()
    const reason = `demoted by ${by}`
    await this.#exclusively('a demotion', async () => {
      const engine = this.#engine
      if (engine?.role === 'replica') {
        if (how.leader === undefined)
          throw new WalcastError('NOT_LEADER', { address: this.address, role: engine.view.role() })
        return this.#followAt(how.leader)
      }
      if (how.epoch !== undefined && how.epoch <= this.#record.epoch)
        throw new WalcastError('STALE_LEADER', { mine: this.#record.epoch, theirs: how.epoch })
      const leading = this.#leading()
      if (how.epoch !== undefined) await this.#stepDown(leading, reason, how.leader)
      else await this.#handover(leading).demote(how.leader, reason)
    })
    const { node, role, leader } = this.#record
    const { epoch, txid } = this.#parts.view.position()
    return { node, role, epoch, txid, leader, tookMs: performance.now() - beganMs }
  }

  async switchover(
    how: { readonly to: string | undefined; readonly timeoutMs: number | undefined },
    by: string,
  ): Promise<SwitchoverAnswer> {
    if (this.#engine?.role === 'replica') return this.#passOn(how, by)
    return this.#exclusively('a switchover', async () => {
      const leading = this.#leading()
      const timeoutMs = how.timeoutMs ?? this.#parts.setup.options.switchoverTimeoutMs
      return this.#handover(leading).switchover(how.to, timeoutMs, by)
    })
  }

  async takeOver(
    how: Position & { readonly checksum: string; readonly from: string },
    by: string,
  ): Promise<NodePlace & Position> {
    return this.#exclusively('a switchover', async () => {
      const engine = this.#following()
      const { epoch, txid, checksum, isTrusted, state } = engine.replica.status
      const isSame = epoch === how.epoch && txid === how.txid && checksum === how.checksum
      if (!isSame || !isTrusted || state === 'syncing')
        throw new WalcastError('NOT_FIT', {
          detail: `it is at ${epoch}-${txid} (${state}), not in the state ${how.epoch}-${how.txid}`,
        })
      await this.#lead(
        engine,
        Math.max(epoch, this.#record.epoch) + 1,
        `switchover from ${how.from}, by ${by}`,
        how,
      )
      const { node } = this.#record
      const now = this.#parts.view.position()
      return { node, address: this.address, epoch: now.epoch, txid: now.txid }
    })
  }

  async fitness(): Promise<FitnessAnswer> {
    const { answers } = await this.#askEverybody()
    const { view, members } = this.#parts
    const { node, role, epoch, txid, leader, lag } = view.status()
    const engine = this.#engine
    const verdict = engine?.role === 'replica' ? this.#judge(engine, answers) : { reasons: [], lost: null }
    const known = members.list().map((member) => {
      const answer = answers.find((each) => each.node === member.node)
      return answer
        ? { ...member, reached: true, role: answer.role, epoch: answer.epoch, txid: answer.txid }
        : { ...member, reached: false }
    })
    return {
      node,
      address: this.address,
      role,
      epoch,
      txid,
      leaderTxid: txid + lag.txidLag,
      lagMs: lag.lagMs,
      fit: verdict.reasons.length === 0,
      reasons: verdict.reasons,
      lost: verdict.lost,
      leader,
      members: known,
    }
  }

  get #record() {
    return this.#parts.nodeFile.record
  }

  get #log() {
    return this.#parts.setup.log
  }

  /** One change at a time. Throws ROLE_CHANGING. */
  async #exclusively<T>(what: string, change: () => Promise<T>): Promise<T> {
    if (!this.isRunning) throw new WalcastError('STARTING')
    if (this.#changing) throw new WalcastError('ROLE_CHANGING', { detail: this.#changing })
    this.#changing = what
    const running = change().finally(() => {
      this.#changing = undefined
    })
    this.#change = running.catch(() => {})
    return running
  }

  #following(): ReplicaEngine {
    if (this.#engine?.role === 'leader')
      throw new WalcastError('ALREADY_LEADER', { epoch: this.#record.epoch })
    if (!this.#engine) throw new WalcastError('STARTING')
    return this.#engine
  }

  #leading(): LeaderEngine {
    if (this.#engine?.role !== 'leader')
      throw new WalcastError('NOT_LEADER', { address: this.address, role: this.#record.role })
    return this.#engine
  }

  #enter(engine: LeaderEngine | ReplicaEngine): void {
    const { view, members, onMoved } = this.#parts
    this.#engine = engine
    view.engine = engine
    members.onChanged = (change) => engine.tellMember(change)
    onMoved()
  }

  // Leading

  /** False when another node leads, or has led since: this one follows it. */
  async #startLeading(): Promise<boolean> {
    try {
      this.#enter(await buildLeader(this.#engineParts))
      return true
    } catch (error) {
      if (keyOf(error) !== 'HIGHER_EPOCH') throw error
      this.#log.error(
        { error: messageOf(error) },
        'this node leads no more: what only it holds is kept aside',
      )
      const rival = this.#rival
      await this.#recordFollowing(
        rival?.role === 'leader' ? rival.asked : (rival?.address ?? ''),
        'found at its start',
      )
      return false
    }
  }

  /** Throws HIGHER_EPOCH. */
  async #mayLead(): Promise<void> {
    const answers = await this.#lookout.ask(this.#parts.members.addresses())
    this.#rival = this.#rivalAmong(answers)
    if (!this.#rival) return
    const { node, epoch } = this.#rival
    throw new WalcastError('HIGHER_EPOCH', { node, theirs: epoch, mine: this.#record.epoch })
  }

  /** Who leads in this node's place, or has followed somebody who did. */
  #rivalAmong(answers: readonly PeerAnswer[]): PeerAnswer | undefined {
    const leaders = answers.filter(({ role }) => role === 'leader').sort((a, b) => b.epoch - a.epoch)
    return (
      leaders.find((each) => givesWay(this.#record, each)) ??
      answers.find(({ epoch }) => epoch > this.#record.epoch)
    )
  }

  /** `expected`: the position and state that the copy must have when nothing more comes. Throws NOT_FIT, and then this node follows as before. */
  async #lead(
    engine: ReplicaEngine,
    epoch: number,
    reason: string,
    expected?: Position & { readonly checksum: string },
  ): Promise<void> {
    const { nodeFile, traffic, clock } = this.#parts
    const leader = engine.replica.leaderAddress
    const isTrusted = () => engine.replica.status.isTrusted
    const wasTrusted = isTrusted()
    const held = await engine.retire()
    if (!held) {
      this.#enter(await buildReplica(this.#engineParts, leader))
      throw new WalcastError('NOT_FIT', { detail: 'it has no whole copy of the database' })
    }
    const { txid, epoch: after } = held.position
    const isExpected = !expected || (txid === expected.txid && after === expected.epoch)
    if (!isExpected || (wasTrusted && !isTrusted())) {
      await this.#follow(held, leader)
      throw new WalcastError('NOT_FIT', { detail: `its copy moved on to ${after}-${txid}, or was written` })
    }
    const { node } = this.#record
    const begin: EpochBegin = { epoch, txid, after, leader: node, exact: wasTrusted }
    const at = new Date(clock.nowMs()).toISOString()
    try {
      await nodeFile.update({
        role: 'leader',
        epoch,
        txidCeiling: Math.max(this.#record.txidCeiling, txid + TXID_RESERVE),
        leader: '',
        lineage: withBegin(this.#record.lineage, begin),
        stateOf: { epoch, leader: node },
        promoted: { at, epoch, txid },
      })
    } catch (error) {
      await this.#follow(held, leader)
      throw new WalcastError('NOT_FIT', { detail: messageOf(error) }, error)
    }
    // From here on this node leads, whatever happens to this process.
    const leading = await this.#orFatal(buildLeader(this.#engineParts, held))
    this.#enter(leading)
    await this.#orFatal(leading.leader.admitWriters())
    traffic.onLeading()
    // Those who were there are missed until they come.
    this.#parts.replicas.expect(this.#parts.members.list())
    this.#said(reason)
  }

  /** A failure that leaves the node between two roles: only a new start helps. */
  async #orFatal<T>(step: Promise<T>): Promise<T> {
    try {
      return await step
    } catch (error) {
      const known =
        error instanceof WalcastError
          ? error
          : new WalcastError('INTERNAL', { detail: messageOf(error) }, error)
      this.#parts.onFatal(known)
      throw new WalcastError('INTERNAL', { detail: known.message }, known)
    }
  }

  #judge(engine: ReplicaEngine, answers: readonly PeerAnswer[]) {
    const { hasCopy, isTrusted, state } = engine.replica.status
    const { position } = engine.replica
    const leaderTxid = engine.replica.lag.summary().leaderTxid
    const isSyncing = state === 'syncing'
    const peers = answers.map((each) => ({ ...each, address: each.asked }))
    return judge({ hasCopy, isSyncing, isTrusted, position, leaderTxid }, peers)
  }

  async #askEverybody(): Promise<{ readonly answers: PeerAnswer[]; readonly unheard: NodePlace[] }> {
    const { members } = this.#parts
    const answers = await this.#lookout.ask(this.#addressesOfAll())
    const unheard = members.list().filter(({ node }) => !answers.some((answer) => answer.node === node))
    return { answers, unheard }
  }

  #addressesOfAll(): string[] {
    const { members } = this.#parts
    const followed = this.#engine?.role === 'replica' ? this.#engine.replica.leaderAddress : undefined
    const all = [...members.addresses(), ...(followed ? [followed] : [])]
    return [...new Set(all)].filter((address) => address !== this.address)
  }

  async #tellOldLeader(
    address: string | undefined,
    unheard: readonly NodePlace[],
  ): Promise<PromoteAnswer['oldLeader']> {
    if (address === undefined) return null
    const place = { node: unheard.find((each) => each.address === address)?.node ?? '', address }
    try {
      const answer = await this.#tellToFollow(address)
      return { node: String(answer['node'] ?? place.node), address, outcome: 'demoted' }
    } catch (error) {
      const outcome = keyOf(error) === 'NODE_UNREACHABLE' ? 'unreachable' : 'refused'
      return { ...place, outcome, detail: messageOf(error) }
    }
  }

  #tellToFollow(address: string): Promise<Record<string, unknown>> {
    const { setup, nodeFile } = this.#parts
    const { node, epoch } = nodeFile.record
    const parameters = { leader: this.address, epoch, by: `node ${node}` }
    return tellPeer(this.#identity(), address, DEMOTE_PATH, parameters, setup.options.peerTimeoutMs)
  }

  #identity() {
    const { setup, nodeFile, clock } = this.#parts
    return {
      secret: setup.secret,
      node: () => nodeFile.record.node,
      epoch: () => nodeFile.record.epoch,
      nowMs: () => clock.nowMs(),
    }
  }

  // Following

  #handover(leading: LeaderEngine): Handover {
    const { traffic, setup, members } = this.#parts
    return new Handover({
      leading,
      replicas: this.#parts.replicas,
      traffic,
      log: this.#log,
      timeoutMs: setup.options.switchoverTimeoutMs,
      peerTimeoutMs: setup.options.peerTimeoutMs,
      own: () => ({ node: this.#record.node, address: this.address }),
      identity: this.#identity(),
      addressOf: (node) => members.addressOf(node),
      isRefusal: (error) => NOT_TAKEN.has(keyOf(error) ?? 'INTERNAL'),
      recordFollowing: (leader, reason) => this.#recordFollowing(leader, reason),
      recordLeading: () => this.#parts.nodeFile.update({ role: 'leader', leader: '' }),
      follow: (held, leader) => this.#follow(held, leader),
      said: (reason) => this.#said(reason),
    })
  }

  #recordFollowing(leader: string, _reason: string): Promise<void> {
    const { nodeFile, clock, view } = this.#parts
    const { standby } = nodeFile.record
    const { epoch, txid } = view.engine ? view.position() : { epoch: nodeFile.record.epoch, txid: 0 }
    const demoted = { at: new Date(clock.nowMs()).toISOString(), epoch, txid }
    return nodeFile.update({ role: standby ? 'standby' : 'replica', leader, demoted })
  }

  /** Goes on as a replica with a database whose write lock is held. Resolves before the leader is reached. */
  async #follow(held: HeldDatabase, leader: string | undefined): Promise<ReplicaEngine> {
    const engine = await this.#orFatal(buildReplica(this.#engineParts, leader, held))
    this.#enter(engine)
    this.#parts.traffic.onFollowing(leader)
    this.#parts.replicas.clearGone()
    return engine
  }

  /** Another node leads: nobody writes here from now on, as soon as a transaction that is under way has ended. */
  async #stepDown(leading: LeaderEngine, reason: string, leader: string | undefined): Promise<void> {
    const { traffic } = this.#parts
    this.#log.error({ reason, leader }, 'this node leads no more: another one does, in a higher epoch')
    traffic.admission.hold('another node leads')
    for (;;) {
      try {
        await leading.leader.takeFence(FENCE_TRY_MS)
        break
      } catch (error) {
        if (keyOf(error) !== 'FENCE_FAILED' || this.#stopped) throw error
        this.#log.warn('a transaction of the application keeps this node from following; waiting for it')
      }
    }
    await this.#orFatal(leading.leader.drain())
    await this.#recordFollowing(leader ?? '', reason)
    const held = await this.#orFatal(leading.retire(undefined))
    await this.#follow(held, leader)
    this.#said(reason)
  }

  #followAt(leader: string): Promise<void> {
    if (this.#engine?.role !== 'replica') return Promise.resolve()
    this.#log.info({ leader }, 'following another leader')
    this.#engine.replica.follow(leader)
    return this.#parts.nodeFile.update({ leader })
  }

  async #passOn(
    { to, timeoutMs }: { readonly to: string | undefined; readonly timeoutMs: number | undefined },
    by: string,
  ): Promise<SwitchoverAnswer> {
    const leader = this.#parts.view.leaderAddress()
    if (leader === '') throw new WalcastError('NO_LEADER')
    const { peerTimeoutMs, switchoverTimeoutMs } = this.#parts.setup.options
    const limitMs = 2 * (timeoutMs ?? switchoverTimeoutMs) + 5 * peerTimeoutMs
    const parameters = { by, ...(to ? { to } : {}), ...(timeoutMs ? { timeoutMs } : {}) }
    const answer: unknown = await tellPeer(this.#identity(), leader, SWITCHOVER_PATH, parameters, limitMs)
    return answer as SwitchoverAnswer
  }

  // Watching

  #whomToAsk(): readonly string[] {
    const engine = this.#engine
    const all = this.#addressesOfAll()
    if (this.#changing || !engine) return []
    if (engine.role === 'leader') {
      const connected = new Set(this.#parts.replicas.links().map(({ node }) => node))
      const heard = new Set(
        this.#parts.members.list().flatMap(({ node, address }) => (connected.has(node) ? address : [])),
      )
      return all.filter((address) => !heard.has(address))
    }
    const { connected, follows, leaderNode } = engine.replica.status
    if (connected) return []
    const wasRelayed = follows !== leaderNode
    return wasRelayed && performance.now() - this.#lostMs < RELAY_PATIENCE_MS ? [] : all
  }

  #onAnswers(answers: readonly PeerAnswer[]): void {
    const engine = this.#engine
    if (this.#changing || !engine || this.#stopped) return
    if (engine.role === 'leader') this.#onRivals(engine, answers)
    else this.#onLeaderFound(engine, answers)
  }

  #onRivals(engine: LeaderEngine, answers: readonly PeerAnswer[]): void {
    const rival = this.#rivalAmong(answers)
    if (rival) return this.#giveWay(engine, rival)
    for (const { node, role, asked, epoch } of answers) {
      if (role !== 'leader') continue
      this.#log.error({ node, address: asked, epoch }, 'another node leads too: it is told to give way')
      this.#tellToFollow(asked).catch((error) => {
        this.#log.warn({ node, address: asked, error: messageOf(error) }, 'it was not to be told')
      })
    }
  }

  #giveWay(engine: LeaderEngine, rival: PeerAnswer): void {
    const { node, role, epoch, asked, address } = rival
    const leader = role === 'leader' ? asked : address || undefined
    const reason = `node ${node} is in epoch ${epoch}${epoch === this.#record.epoch ? ' too, by force, and has the higher id' : ''}`
    this.#log.error(
      { node, address: asked, theirs: epoch, mine: this.#record.epoch },
      'two leaders: this one gives way',
    )
    this.#inBackground('giving way', () => this.#stepDown(engine, reason, leader))
  }

  #onLeaderFound(engine: ReplicaEngine, answers: readonly PeerAnswer[]): void {
    const best = answers
      .filter(({ role, epoch, ready }) => role === 'leader' && ready && epoch >= this.#record.epoch)
      .sort((a, b) => b.epoch - a.epoch || (a.node < b.node ? 1 : -1))[0]
    if (!best || engine.replica.status.connected || best.asked === engine.replica.leaderAddress) return
    this.#inBackground('following', () => this.#followAt(best.asked))
  }

  #onLeaderMoved(address: string, epoch: number): void {
    if (epoch < this.#record.epoch || this.#changing) return
    this.#inBackground('following', () => this.#followAt(address))
  }

  #onLeaderLost(): void {
    this.#lostMs = performance.now()
    if (this.#isRunning && !this.#stopped) void this.#lookout.look()
  }

  #onHigherEpoch(node: string, epoch: number, address: string): void {
    const engine = this.#engine
    if (engine?.role !== 'leader' || this.#changing || epoch <= this.#record.epoch) return
    const reason = `node ${node} has been in epoch ${epoch}`
    this.#inBackground('giving way', async () => {
      this.#parts.traffic.admission.hold('another node leads')
      const { timeoutMs } = { timeoutMs: this.#parts.setup.options.peerTimeoutMs }
      const theirs = address === '' ? undefined : await askPeer(address, timeoutMs)
      await this.#stepDown(engine, reason, theirs?.role === 'leader' ? address : theirs?.address || undefined)
    })
  }

  /** Much may have happened meanwhile: no write is let in before the others were asked. */
  #onFrozen(forMs: number): void {
    const engine = this.#engine
    if (engine?.role !== 'leader' || this.#changing || !this.#isRunning) return
    const { traffic } = this.#parts
    traffic.admission.hold('this node stood still and asks the others whether it still leads')
    this.#log.warn({ seconds: Math.round(forMs / 1000) }, 'stood still: asking the others who leads')
    this.#inBackground('asking who leads', async () => {
      const { answers } = await this.#askEverybody()
      const rival = this.#rivalAmong(answers)
      if (!rival) return traffic.admission.open()
      const leader = rival.role === 'leader' ? rival.asked : rival.address || undefined
      await this.#stepDown(engine, `node ${rival.node} leads in epoch ${rival.epoch}`, leader)
    })
  }

  #inBackground(what: string, change: () => Promise<void>): void {
    this.#exclusively(what, change).catch((error) => {
      if (!this.#stopped) this.#log.error({ error: messageOf(error) }, `${what} failed`)
    })
  }

  #said(reason: string): void {
    const { role, epoch, leader } = this.#record
    const { txid } = this.#parts.view.position()
    this.#log.warn(
      { role, epoch, txid, leader: leader || undefined, reason },
      'the role of this node changed',
    )
  }
}
