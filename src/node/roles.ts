/**
 * The roles that a node has one after another, within one process: the application keeps its file and its connections.
 *
 *   replica ── promote, take-over: subscription ended ─> role file ─> capture begins ─> write lock let go ──> leader
 *   leader ── demote, switchover, a higher epoch: write lock taken ─> drained ─> role file ─> follows ──> replica
 *
 * The write lock is held from before the role file says that this node leads no more, and until after it says that it leads.
 */
import type { Position } from '../../proto/position.ts'
import { wasNotSent } from '../cluster/peerCalls.ts'
import { type ErrorCode, keyOf, messageOf, WalcastError } from '../errors.ts'
import type {
  DemoteAnswer,
  FitnessAnswer,
  NodePlace,
  PromoteAnswer,
  SwitchoverAnswer,
} from '../http/leadershipAnswers.ts'
import type { RoleActions, TakeOver } from '../http/roleRoutes.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import { AloneFence, type AloneLeader, aloneLeader } from './aloneFence.ts'
import type { EngineParts } from './engine.ts'
import { Handover } from './handover.ts'
import type { LateView } from './lateView.ts'
import { buildLeader, type LeaderEngine } from './leaderNode.ts'
import { PeerOrders } from './peerOrders.ts'
import { type PromoteHow, Promotion, TOO_LATE } from './promotion.ts'
import { buildReplica, type ReplicaEngine } from './replicaNode.ts'
import type { RoleJournal } from './roleJournal.ts'
import { RoleWatch } from './roleWatch.ts'

export interface RolesParts
  extends Omit<EngineParts, 'mayLead' | 'onHigherEpoch' | 'onLeaderMoved' | 'onRelayed' | 'onLeaderLost'> {
  readonly view: LateView
  readonly journal: RoleJournal
}

/** What speaks of a node's own state, and is certain: it has not come to lead. */
const NOT_TAKEN: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['NOT_FIT', 'ROLE_CHANGING', 'STARTING'])
/** One attempt to take the fence from a transaction that does not end. */
const FENCE_TRY_MS = 1000

export class Roles implements RoleActions {
  readonly #parts: RolesParts
  readonly #engineParts: EngineParts
  readonly #orders: PeerOrders
  readonly #watch: RoleWatch
  readonly #promotion: Promotion
  readonly #aloneFence: AloneFence | undefined
  #engine: LeaderEngine | ReplicaEngine | undefined
  /** What is under way, for people. */
  #changing: string | undefined
  #change: Promise<unknown> = Promise.resolve()
  #alone: AloneLeader | undefined
  #isRunning = false
  #stopped = false

  constructor(parts: RolesParts) {
    this.#parts = parts
    const { traffic, setup, clock, members, replicas } = parts
    this.#orders = new PeerOrders({ setup, clock, record: () => this.#record, address: () => this.address })
    const inBackground = (what: string, change: () => Promise<void>) => this.#inBackground(what, change)
    this.#watch = new RoleWatch({
      setup,
      members,
      replicas,
      admission: traffic.admission,
      record: () => this.#record,
      address: () => this.address,
      engine: () => this.#engine,
      isChanging: () => this.#changing !== undefined || this.#stopped,
      inBackground,
      untilChanged: () => this.#change,
      stepDown: (engine, reason, leader) => this.#stepDown(engine, reason, leader),
      raise: (engine, epoch, reason) => this.#raise(engine, epoch, reason),
      followAt: (leader) => this.#followAt(leader),
      tellToFollow: (address) => this.#orders.follow(address),
    })
    this.#engineParts = {
      ...parts,
      mayLead: () => this.#watch.requireNoRival((leader) => this.#onRivalAtStart(leader)),
      onHigherEpoch: (by) => this.#watch.onHigherEpoch(by),
      onLeaderMoved: ({ address, epoch }) => this.#onLeaderMoved(address, epoch),
      onRelayed: (relay, leader) => this.#onRelayed(relay, leader),
      onLeaderLost: () => this.#isRunning && this.#watch.onLeaderLost(),
    }
    this.#promotion = new Promotion({
      parts: this.#engineParts,
      own: () => this.#place,
      askEverybody: () => this.#watch.askEverybody(),
      enter: (engine) => this.#enter(engine),
      follow: (held, leader) => this.#follow(held, leader),
      orFatal: (step) => this.#orFatal(step),
      tellToFollow: (address) => this.#orders.follow(address),
      said: (reason, by) => parts.journal.changed(reason, by),
    })
    const { fenceWhenAloneMs } = setup.options
    if (fenceWhenAloneMs !== undefined)
      this.#aloneFence = new AloneFence(fenceWhenAloneMs, {
        clock,
        lastHeardMs: () => replicas.lastHeardMs,
        fence: () => (this.#changing ? undefined : this.#alone),
        inBackground,
      })
    traffic.checkLeading = () => this.#watch.checkAlive()
    traffic.onHigherEpoch = (node, epoch) =>
      this.#watch.onHigherEpoch({ node, epoch, term: undefined, address: '' })
    traffic.onLaterPosition = (epoch) => this.#watch.onLaterPosition(epoch)
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
    const { role: was } = nodeFile.record
    const wasLeader = was === 'leader'
    if (wasLeader && (await this.#startLeading())) traffic.onLeading()
    else {
      const leader = nodeFile.record.leader || undefined
      if (wasLeader || leader !== setup.options.leader) traffic.onFollowing(leader)
      if (!leader) setup.log.warn('no leader is known: serving reads until a node is promoted')
      this.#enter(await buildReplica(this.#engineParts, leader))
    }
    this.#isRunning = true
    this.#parts.journal.started(was)
    this.#watch.start()
  }

  announceStop(): void {
    this.#stopped = true
    this.#engine?.announceStop()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#aloneFence?.stop()
    await this.#watch.stop()
    await this.#change
    await this.#engine?.stop()
    this.#parts.nodeFile.stop()
  }

  promote(how: PromoteHow, by: string): Promise<PromoteAnswer> {
    const promote = () =>
      this.#exclusively('a promotion', () => this.#promotion.promote(this.#following(), how, by))
    return how.dryRun ? promote() : this.#parts.journal.audited('promote', by, promote)
  }

  async demote(
    how: { readonly leader: string | undefined; readonly epoch: number | undefined },
    by: string,
  ): Promise<DemoteAnswer> {
    const beganMs = performance.now()
    await this.#parts.journal.audited('demote', by, () =>
      this.#exclusively('a demotion', () => this.#demote(how, by)),
    )
    const { node, role, leader } = this.#record
    const { epoch, txid } = this.#parts.view.position()
    return { node, role, epoch, txid, leader, tookMs: performance.now() - beganMs }
  }

  async switchover(
    how: { readonly to: string | undefined; readonly timeoutMs: number | undefined },
    by: string,
  ): Promise<SwitchoverAnswer> {
    if (this.#engine?.role === 'replica')
      return this.#orders.switchover(this.#parts.view.leaderAddress(), how, by)
    const timeoutMs = how.timeoutMs ?? this.#parts.setup.options.switchoverTimeoutMs
    return this.#parts.journal.audited('switchover', by, () =>
      this.#exclusively('a switchover', () =>
        this.#handover(this.#leading(), by).switchover(how.to, timeoutMs, by),
      ),
    )
  }

  takeOver(how: TakeOver, by: string): Promise<NodePlace & Position> {
    return this.#exclusively('a switchover', async () => {
      const engine = this.#following()
      if (how.to !== this.#record.node)
        throw new WalcastError('NOT_FIT', { detail: `node ${how.to} was meant, not this one` })
      const { epoch, txid, checksum, isTrusted, state } = engine.replica.status
      const isSame = epoch === how.epoch && txid === how.txid && checksum === how.checksum
      if (!isSame || !isTrusted || state === 'syncing')
        throw new WalcastError('NOT_FIT', {
          detail: `it is at ${epoch}-${txid} (${state}), not in the state ${how.epoch}-${how.txid}`,
        })
      if (this.#parts.clock.nowMs() > how.until) throw new WalcastError('NOT_FIT', { detail: TOO_LATE })
      const next = Math.max(epoch, this.#record.epoch) + 1
      await this.#promotion.lead(engine, next, `switchover from ${how.from}, by ${by}`, by, how)
      return { ...this.#place, epoch: next, txid }
    })
  }

  async fitness(): Promise<FitnessAnswer> {
    const { answers } = await this.#watch.askEverybody()
    const { view, members } = this.#parts
    const { role, epoch, txid, leader, lag } = view.status()
    const engine = this.#engine
    const verdict =
      engine?.role === 'replica' ? this.#promotion.judge(engine, answers) : { reasons: [], lost: null }
    const known = members.list().map((member) => {
      const answer = answers.find((each) => each.node === member.node)
      if (!answer) return { ...member, reached: false }
      return { ...member, reached: true, role: answer.role, epoch: answer.epoch, txid: answer.txid }
    })
    const { reasons, lost } = verdict
    const leaderTxid = txid + lag.txidLag
    const about = { ...this.#place, role, epoch, txid, leaderTxid, lagMs: lag.lagMs, leader }
    return { ...about, fit: reasons.length === 0, reasons, lost, members: known }
  }

  get #record() {
    return this.#parts.nodeFile.record
  }

  get #log() {
    return this.#parts.setup.log
  }

  get #place(): NodePlace {
    return { node: this.#record.node, address: this.address }
  }

  /** One change at a time. Throws ROLE_CHANGING. */
  async #exclusively<T>(what: string, change: () => Promise<T>): Promise<T> {
    if (!this.isRunning) throw new WalcastError(this.#stopped ? 'STOPPING' : 'STARTING')
    if (this.#changing) throw new WalcastError('ROLE_CHANGING', { detail: this.#changing })
    this.#changing = what
    // What throws before it begins ends the change, too.
    const running = (async () => change())().finally(() => {
      this.#changing = undefined
      this.#watch.onChanged()
    })
    this.#change = running.catch(() => {})
    return running
  }

  #inBackground(what: string, change: () => Promise<void>): void {
    this.#exclusively(what, change).catch((error) => {
      if (!this.#stopped) this.#log.error({ error: messageOf(error) }, `${what} failed`)
    })
  }

  #following(): ReplicaEngine {
    if (this.#engine?.role === 'leader')
      throw new WalcastError('ALREADY_LEADER', { epoch: this.#record.epoch })
    if (!this.#engine) throw new WalcastError('STARTING')
    return this.#engine
  }

  #leading(): LeaderEngine {
    if (this.#engine?.role === 'leader') return this.#engine
    throw new WalcastError('NOT_LEADER', { address: this.address, role: this.#record.role })
  }

  #enter(engine: LeaderEngine | ReplicaEngine): void {
    const { view, members, traffic, onMoved } = this.#parts
    this.#engine = engine
    this.#alone =
      engine.role === 'leader' ? aloneLeader(engine.leader, traffic.admission, this.#log) : undefined
    view.engine = engine
    members.onChanged = (change) => engine.tellMember(change)
    onMoved()
  }

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
      await this.#recordFollowing(this.#rivalAtStart)
      return false
    }
  }

  #rivalAtStart = ''

  #onRivalAtStart(leader: string): void {
    this.#rivalAtStart = leader
  }

  /** A failure that leaves the node between two roles: only a new start helps. */
  async #orFatal<T>(step: Promise<T>): Promise<T> {
    try {
      return await step
    } catch (error) {
      const detail = messageOf(error)
      const known = error instanceof WalcastError ? error : new WalcastError('INTERNAL', { detail }, error)
      this.#parts.onFatal(known)
      throw new WalcastError('INTERNAL', { detail }, known)
    }
  }

  #handover(leading: LeaderEngine, by: string): Handover {
    const { traffic, setup, members, replicas, nodeFile, journal } = this.#parts
    return new Handover({
      leading,
      replicas,
      traffic,
      log: this.#log,
      timeoutMs: setup.options.switchoverTimeoutMs,
      own: () => this.#place,
      identity: this.#orders.identity,
      addressOf: (node) => members.addressOf(node),
      mustAsk: () => this.#watch.mustAsk,
      isRefusal: (error) => NOT_TAKEN.has(keyOf(error) ?? 'INTERNAL') || wasNotSent(error),
      recordFollowing: (leader) => this.#recordFollowing(leader),
      recordLeading: () => nodeFile.update({ role: 'leader', leader: '' }),
      follow: (held, leader) => this.#follow(held, leader),
      orFatal: (step) => this.#orFatal(step),
      said: (reason) => journal.changed(reason, by),
    })
  }

  #recordFollowing(leader: string, how: 'update' | 'insist' = 'update'): Promise<void> {
    const { nodeFile, clock, view } = this.#parts
    const { standby, epoch } = nodeFile.record
    const { txid } = view.position()
    const demoted = { at: new Date(clock.nowMs()).toISOString(), epoch, txid }
    return nodeFile[how]({ role: standby ? 'standby' : 'replica', leader, demoted })
  }

  /** Goes on as a replica, with a database whose write lock is held or with what is there. Resolves before the leader is reached. */
  async #follow(held: HeldDatabase | undefined, leader: string | undefined): Promise<ReplicaEngine> {
    this.#parts.replicas.clear()
    const engine = await this.#orFatal(buildReplica(this.#engineParts, leader, held))
    this.#enter(engine)
    this.#parts.traffic.onFollowing(leader)
    return engine
  }

  async #demote(
    { leader, epoch }: { readonly leader: string | undefined; readonly epoch: number | undefined },
    by: string,
  ): Promise<void> {
    const mine = this.#record.epoch
    if (this.#engine?.role === 'replica' && leader !== undefined) {
      if (epoch !== undefined && epoch < mine) throw new WalcastError('STALE_LEADER', { mine, theirs: epoch })
      return this.#followAt(leader)
    }
    const leading = this.#leading()
    if (epoch === undefined) return this.#handover(leading, by).demote(leader, `demoted by ${by}`)
    if (epoch <= mine) throw new WalcastError('STALE_LEADER', { mine, theirs: epoch })
    await this.#stepDown(leading, `demoted by ${by}`, leader)
  }

  /** Another node leads: nobody writes here from now on, as soon as a transaction that is under way has ended. */
  async #stepDown(leading: LeaderEngine, reason: string, leader: string | undefined): Promise<void> {
    this.#log.error({ reason, leader }, 'this node leads no more: another one does, in a higher epoch')
    this.#parts.traffic.admission.hold('another node leads')
    await this.#fence(leading)
    await this.#orFatal(leading.leader.drain())
    // Whatever the disk says: the other one leads. A full one is why somebody was promoted, perhaps.
    await this.#recordFollowing(leader ?? '', 'insist').catch((error) =>
      this.#log.error({ error: messageOf(error) }, 'the role file still says that this node leads'),
    )
    const held = await this.#orFatal(leading.retire(undefined))
    await this.#follow(held, leader)
    this.#parts.journal.changed(reason, 'the node itself')
  }

  /** Leads on in a higher epoch, which begins with the very state that is there. */
  async #raise(leading: LeaderEngine, epoch: number, reason: string): Promise<void> {
    this.#log.warn({ epoch, reason }, 'the epoch is raised')
    this.#parts.traffic.admission.hold('the epoch is being raised')
    await this.#fence(leading)
    await this.#orFatal(leading.leader.drain())
    await this.#promotion.raise(await this.#orFatal(leading.retire(undefined)), epoch, reason)
  }

  async #fence({ leader }: LeaderEngine): Promise<void> {
    for (;;) {
      try {
        return await leader.takeFence(FENCE_TRY_MS)
      } catch (error) {
        if (keyOf(error) !== 'FENCE_FAILED' || this.#stopped) throw error
        this.#log.warn('a transaction of the application keeps this node from following; waiting for its end')
      }
    }
  }

  async #followAt(leader: string): Promise<void> {
    if (this.#engine?.role !== 'replica' || leader === this.address) return
    if (leader === this.#engine.replica.leaderAddress && this.#engine.replica.status.connected) return
    this.#log.info({ leader }, 'following this leader')
    this.#engine.replica.follow(leader)
    await this.#parts.nodeFile.update({ leader })
  }

  /** Also when something else is under way: the one that said so is no leader any more. */
  #onLeaderMoved(address: string, epoch: number): void {
    if (epoch < this.#record.epoch) return
    if (!this.#changing) return this.#inBackground('following', () => this.#followAt(address))
    void this.#change.then(() => setImmediate(() => this.#onLeaderMoved(address, epoch)))
  }

  /** Fed by a replica that was its leader, or that nobody chose: the leader itself is better. */
  #onRelayed(relay: string, leader: string): void {
    if (relay !== this.#record.givenLeader) this.#onLeaderMoved(leader, this.#record.epoch)
  }
}
