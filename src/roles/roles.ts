/**
 * The roles that a node has one after another, within one process: the application keeps its file
 * and its connections.
 *
 *   replica ── promote, take-over: subscription ended ─> role file ─> capture begins ─> write lock let go ──> leader
 *   leader ── demote, switchover, a higher epoch: write lock taken ─> drained ─> role file ─> follows ──> replica
 *
 * The write lock is held from before the role file says that this node leads no more, and until
 * after it says that it leads. Here it is put together who may ask for that: operators and other
 * nodes (RoleRequests), and what the node finds out itself (RoleWatch, AloneFence).
 */

import type { NodePlace } from '../api/roleAnswers.ts'
import type { PeersFile } from '../cluster/peersFile.ts'
import { buildLeader } from '../database/leaderEngine.ts'
import { buildReplica } from '../database/replicaEngine.ts'
import { keyOf, messageOf } from '../errors.ts'
import { ownAddress } from '../options/address.ts'
import { onNextTurn } from '../platform/time.ts'
import type { Leadership } from '../proxy/leadership.ts'
import { CurrentEngine, type CurrentEngineParts } from './currentEngine.ts'
import { IsolationFence } from './isolationFence.ts'
import { PeerCommands } from './peerCommands.ts'
import { Promotion } from './promotion.ts'
import { RoleChangeLock } from './roleChangeLock.ts'
import type { RoleJournal } from './roleJournal.ts'
import { RoleMonitor } from './roleMonitor.ts'
import { RoleRequests } from './roleRequests.ts'
import { StepDown } from './stepDown.ts'
import { TwinWatch } from './twinWatch.ts'

export interface RolesParts
  extends Omit<
    CurrentEngineParts,
    'mayLead' | 'onPutBack' | 'onHigherEpoch' | 'onLeaderMoved' | 'onRelayed' | 'onLeaderLost'
  > {
  readonly peersFile: PeersFile
  readonly journal: RoleJournal
}

export class Roles {
  readonly #parts: RolesParts
  readonly #engineParts: CurrentEngineParts
  readonly #changes: RoleChangeLock
  readonly #current: CurrentEngine
  readonly #watch: RoleMonitor
  readonly #aloneFence: IsolationFence | undefined
  readonly requests: RoleRequests
  /** For requests of the application. */
  readonly leadership: Leadership
  /** HOST:PORT of the leader that was found when this node was about to lead. */
  #rivalAtStart = ''

  constructor(parts: RolesParts) {
    this.#parts = parts
    const { traffic, setup, clock, journal, nodeFile } = parts
    const changes = new RoleChangeLock(setup.log, () => this.#watch.onChanged())
    this.#changes = changes
    this.#engineParts = this.#newEngineParts()
    const current = new CurrentEngine(this.#engineParts)
    this.#current = current
    const orders = new PeerCommands({
      setup,
      clock,
      record: () => this.#record,
      address: () => this.#own.address,
    })
    const promotion = this.#newPromotion(orders)
    const isEnded = () => changes.isEnded
    const givingWay = new StepDown({
      setup,
      clock,
      traffic,
      nodeFile,
      journal,
      current,
      promotion,
      isEnded,
    })
    const watch = this.#newWatch(givingWay, orders)
    this.#watch = watch
    this.#aloneFence = this.#newAloneFence()
    this.requests = new RoleRequests({
      ...parts,
      changes,
      current,
      promotion,
      givingWay,
      orders,
      watch,
      own: () => this.#own,
      followAt: (leader) => this.#followAt(leader),
    })
    this.leadership = {
      check: () => watch.checkAlive(),
      lenders: () => this.#lenders(),
      onHigherEpoch: (node, epoch) =>
        watch.onHigherEpoch({ node, epoch, term: undefined, address: '' }),
      onLaterPosition: (epoch) => watch.onLaterPosition(epoch),
    }
  }

  get engine(): CurrentEngine['engine'] {
    return this.#current.engine
  }

  /** Whether roles may be changed now. */
  get isRunning(): boolean {
    return this.#changes.isOpen
  }

  /**
   * Whether the node has come up in its first role: from then on requests say themselves why they
   * are not done.
   */
  get hasStarted(): boolean {
    return this.#changes.hasOpened
  }

  /** In the role of the role file, unless another node leads by now. */
  async start(): Promise<void> {
    const { nodeFile, traffic, setup } = this.#parts
    const { role: was } = nodeFile.record
    const wasLeader = was === 'leader'
    this.#watch.start()
    if (wasLeader && (await this.#startLeading())) traffic.onLeading()
    else {
      const leader = nodeFile.record.leader || undefined
      if (wasLeader || leader !== setup.options.leader) traffic.onFollowing(leader)
      if (!leader) setup.log.warn('no leader is known: serving reads until a node is promoted')
      this.#current.enter(await buildReplica(this.#engineParts, leader))
    }
    this.#changes.open()
    this.#parts.journal.started(was)
    this.#watch.onChanged()
  }

  announceStop(): void {
    this.#changes.end()
    this.engine?.announceStop()
  }

  async stop(): Promise<void> {
    this.#changes.end()
    this.#aloneFence?.stop()
    await this.#watch.stop()
    await this.#changes.settled()
    await this.engine?.stop()
  }

  get #record() {
    return this.#parts.nodeFile.record
  }

  get #own(): NodePlace {
    return { node: this.#record.node, address: ownAddress(this.#parts.setup.options) }
  }

  /** Standbys refuse by themselves. */
  #lenders(): string[] {
    const { replicas, members } = this.#parts
    const there = replicas
      .list()
      .filter(({ state, via }) => state === 'streaming' && via === undefined)
    return there.flatMap(({ node, address }) => members.addressOf(node) ?? (address || []))
  }

  #newEngineParts(): CurrentEngineParts {
    return {
      ...this.#parts,
      mayLead: () =>
        this.#watch.requireNoRival((leader) => {
          this.#rivalAtStart = leader
        }),
      onPutBack: (seen) => this.#watch.onPutBack([seen]),
      onHigherEpoch: (by) => this.#watch.onHigherEpoch(by),
      onLeaderMoved: ({ address, epoch }) => this.#onLeaderMoved(address, epoch),
      onRelayed: (relay, leader) => this.#onRelayed(relay, leader),
      onLeaderLost: () => {
        if (this.isRunning) this.#watch.onLeaderLost()
      },
    }
  }

  #newPromotion(orders: PeerCommands): Promotion {
    return new Promotion({
      parts: this.#engineParts,
      own: () => this.#own,
      askEverybody: () => this.#watch.askEverybody(),
      enter: (engine) => this.#current.enter(engine),
      follow: (held, leader) => this.#current.follow(held, leader),
      orFatal: (step) => this.#current.orFatal(step),
      tellToFollow: (address) => orders.follow(address),
      said: (reason, by) => this.#parts.journal.changed(reason, by),
    })
  }

  #newWatch(givingWay: StepDown, orders: PeerCommands): RoleMonitor {
    const { setup, clock, members, replicas, traffic, instance, onFatal } = this.#parts
    return new RoleMonitor({
      setup,
      clock,
      members,
      replicas,
      admission: traffic.admission,
      instance: instance.id,
      twins: new TwinWatch({
        log: setup.log,
        instance,
        node: () => this.#record.node,
        address: () => this.#own.address,
        yieldId: (error) => onFatal(error),
        tellTwin: (address, of) => orders.twin(address, of),
      }),
      record: () => this.#record,
      address: () => this.#own.address,
      engine: () => this.engine,
      isChanging: () => this.#changes.isUnderWay || this.#changes.isEnded,
      isStarting: () => !this.#changes.hasOpened,
      inBackground: (what, change) => this.#changes.inBackground(what, change),
      untilChanged: () => this.#changes.settled(),
      stepDown: (engine, reason, leader) => givingWay.stepDown(engine, reason, leader),
      raise: (engine, epoch, reason) => givingWay.raise(engine, epoch, reason),
      raiseAboveLost: (seen) => givingWay.raiseAboveLost(seen),
      followAt: (leader) => this.#followAt(leader),
      tellToFollow: (address) => orders.follow(address),
    })
  }

  #newAloneFence(): IsolationFence | undefined {
    const { setup, clock, replicas } = this.#parts
    const { fenceWhenAloneMs } = setup.options
    if (fenceWhenAloneMs === undefined) return undefined
    return new IsolationFence(fenceWhenAloneMs, {
      clock,
      lastHeardMs: () => replicas.lastHeardMs,
      fence: () => (this.#changes.isUnderWay ? undefined : this.#current.alone),
      inBackground: (what, change) => this.#changes.inBackground(what, change),
    })
  }

  /** False when another node leads, or has led since: this one follows it. */
  async #startLeading(): Promise<boolean> {
    try {
      this.#current.enter(await buildLeader(this.#engineParts))
      return true
    } catch (error) {
      if (keyOf(error) !== 'HIGHER_EPOCH') throw error
      const { log } = this.#parts.setup
      log.error(
        { error: messageOf(error) },
        'this node leads no more: what only it holds is kept aside',
      )
      this.#parts.replicas.clear()
      // Whatever the disk says: the other one leads.
      await this.#current
        .recordFollowing(this.#rivalAtStart, 'insist')
        .catch((failure) =>
          log.error({ error: messageOf(failure) }, 'the role file still says that this node leads'),
        )
      return false
    }
  }

  async #followAt(leader: string): Promise<void> {
    const { engine } = this
    if (engine?.role !== 'replica' || leader === this.#own.address) return
    if (leader === engine.replica.leaderAddress && engine.replica.status.connected) return
    this.#parts.setup.log.info({ leader }, 'following this leader')
    engine.replica.follow(leader)
    await this.#parts.nodeFile.update({ leader })
  }

  /** Also when something else is under way: the one that said so is no leader any more. */
  #onLeaderMoved(address: string, epoch: number): void {
    if (epoch < this.#record.epoch) return
    if (!this.#changes.isUnderWay)
      return this.#changes.inBackground('following', () => this.#followAt(address))
    void this.#changes.settled().then(() => onNextTurn(() => this.#onLeaderMoved(address, epoch)))
  }

  /** Fed by a replica that was its leader, or that nobody chose: the leader itself is better. */
  #onRelayed(relay: string, leader: string): void {
    if (relay !== this.#record.givenLeader) this.#onLeaderMoved(leader, this.#record.epoch)
  }
}
