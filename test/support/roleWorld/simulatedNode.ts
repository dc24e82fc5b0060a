/**
 * A node of a simulated cluster: the state machine of its role, a role file and a database that
 * outlive a crash, and an engine that carries out orders in simulated time, well or badly. What is
 * promised of one node is checked at each order.
 */
import { type Standing, withIncarnation } from '../../../proto/lineage.ts'
import type { NodeRecord } from '../../../src/cluster/nodeRecord.ts'
import type { PeerAnswer } from '../../../src/cluster/peerAnswer.ts'
import { WalcastError } from '../../../src/errors.ts'
import { incarnationAfter, newIncarnation } from '../../../src/leader/incarnation.ts'
import { followingRecord, leadingRecord } from '../../../src/roles/leadershipRecord.ts'
import type { RoleEvent, RoleRequest, RoleStepEnd } from '../../../src/roles/state/roleEvents.ts'
import type { RoleFacts } from '../../../src/roles/state/roleFacts.ts'
import type { EngineOrder, RoleAnswer, RoleOrder } from '../../../src/roles/state/roleOrders.ts'
import { isChanging, type RoleState, type Step } from '../../../src/roles/state/rolePhases.ts'
import { beforeStart } from '../../../src/roles/state/startup.ts'
import { roleFacts } from '../drivenRoles.ts'
import { eventLine, factsLine, stepLines } from '../roleTranscript.ts'
import type { RoleWorld } from './roleWorld.ts'
import { answerOf, factsOf, wrongWith } from './simulatedFacts.ts'

/** What a database holds: its last commit, and all before it. */
export interface Content {
  readonly id: number
  readonly parent: Content | undefined
}

type Fate = 'well' | 'badly' | 'unsure'
type Answered = (end: { readonly answer: RoleAnswer } | { readonly error: unknown }) => void

export const PEER_MS = 300

export class SimulatedNode {
  readonly id: string
  readonly address: string
  readonly #world: RoleWorld
  /** On disk. */
  disk: NodeRecord
  position: Standing
  content: Content
  /**
   * As the process knows it. Until the disk takes it again the two may differ, and that was told.
   */
  record: NodeRecord
  isUp = false
  pausedUntilMs = 0
  state: RoleState = beforeStart('replica')
  engine: 'none' | 'leader' | 'replica' = 'none'
  isRetired = false
  isFenced = false
  leaderAddress = ''
  isConnected = false
  /** When each replica was last heard of. */
  readonly heardMs = new Map<string, number>()
  readonly holds = new Set<string>()
  isRefusing = false
  #isUnsure = false
  isHeld = false
  drainedTxid = -1
  /** Of the process: what was begun by one that has died comes to nothing. */
  #life = 0
  #events: RoleEvent[] = []
  #isStepping = false
  #awaited: string | undefined
  #hasDoneNothing = false
  #requests = 0
  readonly #asked = new Map<number, Answered>()
  #toldFacts: RoleFacts = roleFacts()

  constructor(
    world: RoleWorld,
    id: string,
    disk: NodeRecord,
    position: Standing,
    content: Content,
  ) {
    this.#world = world
    this.id = id
    this.address = `${id}:1`
    this.disk = disk
    this.record = disk
    this.position = position
    this.content = content
  }

  /** Whether any connection of its application can write. */
  get takesWrites(): boolean {
    return this.isUp && this.engine === 'leader' && !this.isFenced && !this.isRetired
  }

  /** Whether the role file says so, or it was told that it may not. */
  get saysThatItLeads(): boolean {
    return this.disk.role === 'leader' || (this.#isUnsure && this.record.role === 'leader')
  }

  /** Whether requests that write are let in, too. */
  get isOpen(): boolean {
    return this.takesWrites && this.holds.size === 0 && !this.isRefusing
  }

  get isPaused(): boolean {
    return this.pausedUntilMs > this.#world.nowMs
  }

  get isSettled(): boolean {
    const { phase } = this.state
    return this.isUp && !this.isPaused && (phase === 'leading' || phase === 'following')
  }

  commit(): void {
    this.content = { id: this.#world.nextCommit(), parent: this.content }
    this.position = { ...this.position, txid: this.position.txid + 1 }
    this.#world.onCommit(this)
  }

  start(): void {
    this.isUp = true
    this.record = this.disk
    this.#isUnsure = false
    this.state = beforeStart(this.record.role)
    this.#world.note(`${this.id} : starting ${this.record.role}`)
    this.#toldFacts = roleFacts()
    this.post({ type: 'start' })
    this.#beat()
    this.#look()
  }

  /** The process is gone; the role file and the database stay. */
  crash(why: string): void {
    if (!this.isUp) return
    this.#world.note(`# ${this.id} dies: ${why}`)
    this.isUp = false
    this.#life++
    this.engine = 'none'
    this.isRetired = false
    this.isFenced = false
    this.isConnected = false
    this.isHeld = false
    this.#events = []
    this.#awaited = undefined
    this.holds.clear()
    this.isRefusing = false
    this.heardMs.clear()
    for (const answered of this.#asked.values())
      answered({ error: new WalcastError('NODE_UNREACHABLE', { url: this.id, detail: 'reset' }) })
    this.#asked.clear()
    this.pausedUntilMs = 0
    this.#world.restartLater(this)
  }

  pause(forMs: number): void {
    this.#world.note(`# ${this.id} stands still for ${forMs} ms`)
    this.pausedUntilMs = this.#world.nowMs + forMs
    this.later(forMs, () => this.post({ type: 'stoodStill', forMs }))
  }

  /** In this process's life, and not while it stands still. */
  later(delayMs: number, happen: () => void): void {
    const life = this.#life
    this.#world.after(delayMs, () => {
      if (life !== this.#life || !this.isUp) return
      const leftMs = this.pausedUntilMs - this.#world.nowMs
      if (leftMs > 0) this.later(leftMs, happen)
      else happen()
    })
  }

  request(
    asked: RoleRequest extends infer R
      ? R extends RoleRequest
        ? Omit<R, 'request'>
        : never
      : never,
    answered: Answered,
  ): void {
    const request = ++this.#requests
    this.#asked.set(request, answered)
    this.post({ ...asked, request } as RoleRequest)
  }

  post(event: RoleEvent): void {
    if (!this.isUp) return
    this.#events.push(event)
    if (this.#isStepping) return
    this.#isStepping = true
    const life = this.#life
    for (let next = this.#events.shift(); next; next = this.#events.shift()) this.#step(next, life)
    this.#isStepping = false
  }

  answer(): PeerAnswer {
    return answerOf(this, `${this.id}/${this.#life}`, this.#world.nowMs)
  }

  #step(event: RoleEvent, life: number): void {
    const world = this.#world
    const facts = factsOf(this, this.#world)
    const before = this.state
    const next = world.step(facts, before, event)
    this.#hasDoneNothing = next.state === before && next.orders.length === 0
    if (world.isNoting && !this.#hasDoneNothing) this.#note(facts, event, next)
    this.state = next.state
    for (const order of next.orders) {
      if (world.isToCrash()) this.crash(`before it is to ${order.do}`)
      if (life !== this.#life) return
      this.#carryOut(order)
      world.check()
    }
    if (life === this.#life && this.#awaited === undefined && isChanging(this.state))
      world.fail(`${this.id} is ${this.state.phase}, and nothing is under way`)
  }

  #note(facts: RoleFacts, event: RoleEvent, next: Step): void {
    const line = factsLine(this.id, this.#toldFacts, facts)
    if (line) this.#world.note(line)
    this.#toldFacts = facts
    this.#world.note(eventLine(this.id, event))
    for (const each of stepLines(this.id, this.state, next)) this.#world.note(each)
  }

  #carryOut(order: RoleOrder): void {
    switch (order.do) {
      case 'answer':
        return this.#end(order.request, { answer: order.answer })
      case 'refuse':
        return this.#end(order.request, { error: order.error })
      case 'holdWrites':
        return void this.holds.add(order.for)
      case 'releaseWrites':
        return void this.holds.delete(order.for)
      case 'refuseWrites':
        this.isRefusing = order.error !== undefined
        return
      case 'serveAsLeader':
        return void this.holds.delete('change')
      case 'serveAsReplica':
        return this.#serveAsReplica()
      case 'permitLeading':
        return this.#wait('openLeader', 5, () => this.#openLeader())
      case 'forbidLeading': {
        const { error } = order
        return this.#wait('openLeader', 5, () => ({ type: 'failed', error }))
      }
      case 'stopEngine':
        return this.crash('it was stopped')
      case 'startFailed':
      case 'fail':
        return this.crash('it cannot go on')
      case 'look':
      case 'lookAtOnce':
        return this.#world.ask(this, order.whom, (answers) =>
          this.post({ type: order.do === 'look' ? 'looked' : 'lookedAtOnce', answers }),
        )
      case 'ask':
        return this.#call('ask', (end) =>
          this.#world.ask(this, order.whom, (answers) =>
            end({ type: 'answered', answers, unheard: [] }),
          ),
        )
      case 'readClock':
        return this.#call('readClock', (end) =>
          this.#world.ask(this, [order.address], ([theirs]) =>
            end({ type: 'clockRead', aheadMs: theirs ? 0 : undefined }),
          ),
        )
      case 'giveTo':
        return this.#giveTo(order)
      case 'tellToFollow':
        return this.#call('tellToFollow', (end) => this.#tell(order.address, end))
      case 'tellInBackground':
        return this.#tell(order.address, () => {})
      case 'openLeader':
        return this.later(5, () => this.post({ type: 'mayLeadAsked' }))
      case 'started':
      case 'announceStop':
      case 'forgetReplicas':
      case 'expectReplicas':
      case 'tellChange':
      case 'log':
      case 'awaitApplication':
        return
      case 'takeLease':
      case 'handLease':
      case 'releaseLease':
      case 'fenceMeanwhile':
        return this.#world.fail(`${this.id} is to ${order.do}, and there is no lock service`)
      default:
        return this.#engineOrder(order)
    }
  }

  #end(request: number, end: Parameters<Answered>[0]): void {
    const answered = this.#asked.get(request)
    if (!answered) return this.#world.fail(`${this.id} answers request ${request} again`)
    this.#asked.delete(request)
    answered(end)
  }

  /** Until it ends. Gives what to call then. */
  #await(what: string): (event: RoleStepEnd) => void {
    if (this.#awaited !== undefined)
      this.#world.fail(`${this.id} is to ${what} while it is to ${this.#awaited}`)
    this.#awaited = what
    return (event) => {
      if (this.#world.isToCrash()) return this.crash(`after it was to ${what}`)
      this.#awaited = undefined
      this.post(event)
      if (this.isUp && this.#hasDoneNothing)
        this.#world.fail(`${this.id} did nothing about ${event.type}`)
      this.#world.check()
    }
  }

  /** Ends after a while. */
  #wait(what: string, delayMs: number, end: () => RoleStepEnd): void {
    const ended = this.#await(what)
    this.later(delayMs, () => {
      const event = end()
      this.#world.check()
      ended(event)
    })
  }

  /** Ends when `begin` says so. */
  #call(what: string, begin: (end: (event: RoleStepEnd) => void) => void): void {
    const [ended, life] = [this.#await(what), this.#life]
    begin((event) => {
      if (life === this.#life) this.later(0, () => ended(event))
    })
  }

  #engineOrder(order: EngineOrder): void {
    const wrong = wrongWith(order, this)
    if (wrong) this.#world.fail(`${this.id} is to ${order.do}, and ${wrong}`)
    const fate = this.#world.fateOf(order)
    this.#wait(order.do, this.#world.orderMs(order), () => this.#endOf(order, fate))
  }

  #endOf(order: EngineOrder, fate: Fate): RoleStepEnd {
    if (fate !== 'well') return this.#endBadly(order, fate)
    switch (order.do) {
      case 'openReplica':
      case 'follow':
        this.#becomeReplica(order.leader ?? '')
        return { type: 'followed' }
      case 'lockCopy':
        return { type: 'copyLocked' }
      case 'retire':
        return this.#retire(order.next)
      case 'recordLeading':
      case 'recordLeadingOn':
      case 'recordFollowing':
      case 'restoreRecord':
        this.#write(this.#changed(order))
        return { type: 'recorded' }
      case 'beginCapture': {
        const { epoch, incarnation } = this.record
        this.position = { epoch, incarnation, txid: order.raisedAt ?? this.position.txid }
        this.#becomeLeader(true)
        return { type: 'captureBegun' }
      }
      case 'admitWriters':
        this.isFenced = false
        return { type: 'writersAdmitted' }
      case 'redirect':
        this.leaderAddress = order.leader
        this.isConnected = false
        this.#write({ ...this.record, leader: order.leader })
        return { type: 'redirected' }
      case 'endCheckpoints':
        return { type: 'checkpointsEnded' }
      case 'awaitQuiet':
        return { type: 'quiet', isQuiet: true }
      case 'takeFence':
        this.isFenced = true
        return { type: 'fenced' }
      case 'drain': {
        const { epoch, txid } = this.position
        this.drainedTxid = txid
        return { type: 'drained', epoch, txid, checksum: String(this.content.id) }
      }
      case 'awaitAllLevel':
        return { type: 'levelled', isLevel: true }
      case 'awaitNearlyLevel':
        return { type: 'levelled', isLevel: this.#world.hasReplica(this, order.node) }
      case 'awaitConfirmed':
        return { type: 'confirmed', isConfirmed: this.#world.isLevel(this, order.node) }
      case 'awaitStreaming':
        return { type: 'streaming', isStreaming: this.isConnected }
      case 'openLeader':
        return this.#openLeader()
    }
  }

  #endBadly(order: EngineOrder, fate: Fate): RoleStepEnd {
    const disk = new WalcastError(fate === 'unsure' ? 'ROLE_UNSURE' : 'DISK_FULL', {
      path: 'node.json',
      detail: 'a test',
    })
    switch (order.do) {
      case 'takeFence':
      case 'lockCopy':
        return { type: 'failed', error: new WalcastError('FENCE_FAILED', { timeoutMs: 1 }) }
      case 'awaitQuiet':
        return { type: 'quiet', isQuiet: false }
      case 'awaitAllLevel':
      case 'awaitNearlyLevel':
        return { type: 'levelled', isLevel: false }
      case 'awaitConfirmed':
        return { type: 'confirmed', isConfirmed: false }
      case 'awaitStreaming':
        return { type: 'streaming', isStreaming: false }
      case 'recordLeading':
      case 'recordLeadingOn':
      case 'recordFollowing':
      case 'restoreRecord': {
        const next = this.#changed(order)
        const isInsisted =
          order.do === 'restoreRecord' || (order.do === 'recordFollowing' && order.how === 'insist')
        if (isInsisted) this.record = next
        else if (fate === 'unsure') this.disk = next
        this.#isUnsure = true
        this.later(1000, () => this.#write(this.record))
        return { type: 'failed', error: disk }
      }
      default:
        return { type: 'failed', error: new Error(`${order.do} failed`) }
    }
  }

  #changed(order: EngineOrder): NodeRecord {
    const { record } = this
    const { nowMs } = this.#world
    switch (order.do) {
      case 'recordLeading':
        return { ...record, ...leadingRecord(record, order.at, order.begins, nowMs) }
      case 'recordFollowing':
        return {
          ...record,
          ...followingRecord({ record }, order.leader, this.position.txid, nowMs),
        }
      case 'restoreRecord':
        return { ...record, ...order.before }
      default:
        return { ...record, role: 'leader', leader: '' }
    }
  }

  #write(next: NodeRecord): void {
    this.record = next
    this.disk = next
    this.#isUnsure = false
  }

  #openLeader(): RoleStepEnd {
    const { record, position } = this
    const id = newIncarnation()
    const begun = incarnationAfter(position, {
      id,
      epoch: record.epoch,
      leader: this.id,
      exact: true,
    })
    this.#write({ ...record, incarnation: id, lineage: withIncarnation(record.lineage, begun) })
    this.position = { epoch: record.epoch, incarnation: id, txid: position.txid }
    this.#becomeLeader(false)
    return { type: 'leaderOpened' }
  }

  #becomeLeader(isFenced: boolean): void {
    this.engine = 'leader'
    this.isRetired = false
    this.isFenced = isFenced
    this.isHeld = false
    this.isConnected = false
    this.drainedTxid = -1
  }

  #becomeReplica(leader: string): void {
    this.engine = 'replica'
    this.isRetired = false
    this.isFenced = false
    this.isHeld = false
    this.leaderAddress = leader
    this.isConnected = false
    this.heardMs.clear()
    this.#serveAsReplica()
  }

  #serveAsReplica(): void {
    this.holds.clear()
    this.isRefusing = false
  }

  #retire(next: Extract<EngineOrder, { readonly do: 'retire' }>['next']): RoleStepEnd {
    if (this.engine === 'leader' && next) this.#world.tellMoved(this, next.address, next.epoch)
    this.isRetired = true
    this.isConnected = false
    this.isHeld = true
    return { type: 'retired', held: this.position, isTrusted: true }
  }

  #giveTo({
    to,
    drained,
    by,
    untilMs,
    timeoutMs,
  }: Extract<RoleOrder, { readonly do: 'giveTo' }>): void {
    if (this.disk.role === 'leader' || !this.isFenced)
      this.#world.fail(`${this.id} gives away what it has`)
    const how = { ...drained, from: this.id, to: to.node, until: untilMs }
    this.#call('giveTo', (end) =>
      this.#world.call(
        this,
        to.address,
        timeoutMs,
        { type: 'takeOverAsked', by, how },
        (answer) => {
          if ('error' in answer) return end({ type: 'failed', error: answer.error })
          if (answer.answer.of !== 'takeOver') return this.#world.fail('it was not asked that')
          end({ type: 'taken', epoch: answer.answer.epoch, txid: answer.answer.txid })
        },
      ),
    )
  }

  #tell(address: string, end: (event: RoleStepEnd) => void): void {
    const { epoch } = this.record
    const asked = {
      type: 'demoteAsked',
      by: `node ${this.id}`,
      leader: this.address,
      epoch,
    } as const
    this.#world.call(this, address, PEER_MS, asked, (answer) =>
      end('error' in answer ? { type: 'failed', error: answer.error } : { type: 'told' }),
    )
  }

  /** The stream between it and its leader. */
  #beat(): void {
    this.later(this.#world.random.between(100, 200), () => {
      this.#world.stream(this)
      this.#beat()
    })
  }

  #look(): void {
    this.later(400, () => {
      this.post({ type: 'lookDue' })
      if (this.#world.fenceWhenAloneMs !== undefined) this.post({ type: 'aloneLookDue' })
      this.#look()
    })
  }
}
