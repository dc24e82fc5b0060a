/**
 * Moves a node's role: turns requests, timers, what was learnt of other nodes and the end of what
 * was ordered into events of `roleState.ts`, one after another, and has carried out what that
 * orders.
 */

import type { Acceptance } from '../cluster/peerApplication.ts'
import { asWalcastError, type WalcastError } from '../errors.ts'
import { cancelTimer, setRepeatingTimer, type Timer } from '../platform/time.ts'
import { Deferred } from './deferred.ts'
import type { PeerQuestions } from './election/peerQuestions.ts'
import type { EngineOrders } from './engineOrders.ts'
import type { EngineSlot } from './engineSlot.ts'
import type { InstantOrders } from './instantOrders.ts'
import type { LeaseOrders } from './leaseOrders.ts'
import type { PeerOrders } from './peerOrders.ts'
import type { RoleInbox } from './roleInbox.ts'
import type { RoleJournal } from './roleJournal.ts'
import { step } from './roleState.ts'
import type { RoleEvent, RoleRequest, RoleStepEnd } from './state/roleEvents.ts'
import type { RoleFacts } from './state/roleFacts.ts'
import type { RoleAnswer, RoleOrder } from './state/roleOrders.ts'
import { isChanging, type RoleState } from './state/rolePhases.ts'

export interface RoleDriverParts {
  readonly inbox: RoleInbox
  readonly facts: RoleFacts
  readonly questions: PeerQuestions
  readonly engineOrders: EngineOrders
  readonly leaseOrders: LeaseOrders
  readonly peerOrders: PeerOrders
  readonly instantOrders: InstantOrders
  readonly slot: EngineSlot
  readonly journal: RoleJournal
  readonly onFatal: (error: WalcastError) => void
  /** How often it looks who leads, ms. */
  readonly lookMs: number
}

type Unnumbered<Request> = Request extends RoleRequest ? Omit<Request, 'request'> : never

/** What was asked for, done. */
export interface Done {
  readonly answer: RoleAnswer
  /** Of a switchover: when the application of the new leader takes requests. */
  readonly application: Promise<Acceptance> | undefined
}

const TICK_MS = 250

export class RoleDriver {
  readonly #parts: RoleDriverParts
  #state: RoleState
  readonly #events: RoleEvent[] = []
  #isStepping = false
  #requests = 0
  readonly #asked = new Map<number, Deferred<RoleAnswer>>()
  #settled: (() => void)[] = []
  readonly #started = new Deferred<void>()
  readonly #stopped = new Deferred<void>()
  #hasStarted = false
  #looking: Promise<void> = Promise.resolve()
  #timer: Timer | undefined
  #lookedMs = 0

  constructor(parts: RoleDriverParts, initial: RoleState) {
    this.#parts = parts
    this.#state = initial
    parts.inbox.readBy((event) => this.#post(event))
  }

  /**
   * Whether the node has come up in its first role: from then on requests say themselves why they
   * are not done.
   */
  get hasStarted(): boolean {
    return this.#hasStarted
  }

  /**
   * In the role of the role file, unless another node leads by now. Throws the catalogue's start-up
   * errors.
   */
  start(): Promise<void> {
    this.#timer = setRepeatingTimer(() => this.#tick(), TICK_MS)
    this.#post({ type: 'start' })
    return this.#started.promise
  }

  /** Throws STARTING, STOPPING, ROLE_CHANGING, and what speaks against it or went wrong. */
  async request(asked: Unnumbered<RoleRequest>): Promise<Done> {
    const request = ++this.#requests
    const end = new Deferred<RoleAnswer>()
    this.#asked.set(request, end)
    this.#post({ ...asked, request } as RoleRequest)
    const answer = await end.promise
    return { answer, application: this.#parts.peerOrders.applicationAfter(request) }
  }

  /** No change begins from now on. */
  announceStop(): void {
    this.#post({ type: 'ending' })
  }

  async stop(): Promise<void> {
    cancelTimer(this.#timer)
    this.#parts.leaseOrders.stop()
    this.#post({ type: 'stop' })
    // Both from the start: the engine may fail to stop while a look goes on.
    await Promise.all([this.#looking, this.#stopped.promise])
  }

  #post(event: RoleEvent): void {
    this.#events.push(event)
    if (this.#isStepping) return
    this.#isStepping = true
    for (let next = this.#events.shift(); next; next = this.#events.shift()) this.#step(next)
    this.#isStepping = false
  }

  #step(event: RoleEvent): void {
    const { state, orders } = step(this.#parts.facts, this.#state, event)
    this.#state = state
    for (const order of orders)
      try {
        this.#carryOut(order)
      } catch (error) {
        this.#parts.onFatal(asWalcastError(error))
      }
    if (isChanging(state)) return
    for (const resolve of this.#settled.splice(0)) resolve()
  }

  #carryOut(order: RoleOrder): void {
    const { engineOrders, leaseOrders, peerOrders, instantOrders } = this.#parts
    switch (order.do) {
      case 'answer':
        return this.#requestOf(order.request)?.resolve(order.answer)
      case 'refuse':
        return this.#requestOf(order.request)?.reject(order.error)
      case 'started':
        this.#hasStarted = true
        this.#parts.journal.started(order.was)
        return this.#started.resolve()
      case 'startFailed':
        return this.#started.reject(order.error)
      case 'stopEngine':
        return this.#stopped.resolve(this.#parts.slot.engine?.stop())
      case 'look':
        this.#looking = this.#look('looked', order.whom)
        return
      case 'lookAtOnce':
        return this.#parts.inbox.lookingAtOnce(
          this.#look('lookedAtOnce', order.whom).then(() => this.#untilSettled()),
        )
      case 'ask':
      case 'readClock':
      case 'giveTo':
      case 'tellToFollow':
        return this.#await(peerOrders.carryOut(order))
      case 'tellInBackground':
        return peerOrders.tellInBackground(order.address, order.about, order.text)
      case 'awaitApplication':
        return peerOrders.awaitApplication(order.request, order.address)
      case 'takeLease':
      case 'handLease':
        return this.#await(leaseOrders.carryOut(order))
      case 'openLeader':
      case 'openReplica':
      case 'lockCopy':
      case 'retire':
      case 'recordLeading':
      case 'recordLeadingOn':
      case 'recordFollowing':
      case 'restoreRecord':
      case 'beginCapture':
      case 'admitWriters':
      case 'follow':
      case 'redirect':
      case 'endCheckpoints':
      case 'awaitQuiet':
      case 'takeFence':
      case 'drain':
      case 'awaitAllLevel':
      case 'awaitNearlyLevel':
      case 'awaitConfirmed':
      case 'awaitStreaming':
        return this.#await(engineOrders.carryOut(order))
      default:
        return instantOrders.carryOut(order)
    }
  }

  #requestOf(request: number): Deferred<RoleAnswer> | undefined {
    const asked = this.#asked.get(request)
    this.#asked.delete(request)
    return asked
  }

  /** Its end is the next event of the change that is under way. */
  #await(end: Promise<RoleStepEnd>): void {
    end.then(
      (event) => this.#post(event),
      (error) => this.#post({ type: 'failed', error }),
    )
  }

  /** Never rejects: whoever does not answer is not there. */
  async #look(type: 'looked' | 'lookedAtOnce', whom: readonly string[]): Promise<void> {
    const { answers } = await this.#parts.questions.askAll(whom)
    this.#post({ type, answers })
  }

  #untilSettled(): Promise<void> {
    if (!isChanging(this.#state)) return Promise.resolve()
    return new Promise((resolve) => this.#settled.push(resolve))
  }

  #tick(): void {
    const { inbox, facts, lookMs } = this.#parts
    inbox.checkAlive()
    this.#post({ type: 'aloneLookDue' })
    const { nowMs } = facts
    if (nowMs - this.#lookedMs < lookMs) return
    this.#lookedMs = nowMs
    this.#post({ type: 'lookDue' })
  }
}
