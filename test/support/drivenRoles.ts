/**
 * What moves a node's role, with an engine, peers and a clock of a test's own. Orders end at once,
 * and well, unless told otherwise.
 */
import { pino } from 'pino'
import type { Clock } from '../../src/platform/clock.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { WriteGate } from '../../src/proxy/writeGate.ts'
import type { PeerQuestions } from '../../src/roles/election/peerQuestions.ts'
import { Standstill } from '../../src/roles/election/standstill.ts'
import { InstantOrders, type InstantOrdersParts } from '../../src/roles/instantOrders.ts'
import { LeaseOrders } from '../../src/roles/leaseOrders.ts'
import { PeerOrders, type PeerOrdersParts } from '../../src/roles/peerOrders.ts'
import { RoleDriver, type RoleDriverParts } from '../../src/roles/roleDriver.ts'
import { RoleInbox } from '../../src/roles/roleInbox.ts'
import type { RoleStepEnd } from '../../src/roles/state/roleEvents.ts'
import type { CopyFacts, RoleFacts } from '../../src/roles/state/roleFacts.ts'
import { ROLE_MEMORY } from '../../src/roles/state/roleMemory.ts'
import type { EngineOrder } from '../../src/roles/state/roleOrders.ts'
import type { RoleState } from '../../src/roles/state/rolePhases.ts'

/** What a test changes of the facts by itself. */
export type GivenFacts = { -readonly [Name in keyof RoleFacts]?: RoleFacts[Name] }

export interface DrivenRoles {
  readonly driver: RoleDriver
  readonly inbox: RoleInbox
  readonly standstill: Standstill
  readonly admission: WriteGate
  readonly facts: GivenFacts
  /** All that the engine was ordered to do. */
  readonly ordered: EngineOrder[]
}

export interface DrivenSetup {
  /** The state that it begins with. */
  readonly state: RoleState
  readonly facts?: GivenFacts
  readonly questions?: PeerQuestions
  readonly clock?: Clock
  readonly frozenMs?: number
  /** How an order ends; undefined: well. */
  readonly end?: (order: EngineOrder) => RoleStepEnd | undefined | Promise<RoleStepEnd>
}

const LED_POSITION = { epoch: 3, incarnation: '', txid: 9 }
const RECORD: RoleFacts['record'] = {
  node: 'node-m',
  role: 'leader',
  epoch: 3,
  term: 3,
  leader: '',
  lineage: [],
  incarnation: '',
  givenLeader: '',
  promoted: undefined,
}

export const LEADING: RoleState = { phase: 'leading', memory: { ...ROLE_MEMORY, role: 'leader' } }
export const FOLLOWING: RoleState = {
  phase: 'following',
  memory: { ...ROLE_MEMORY, role: 'replica' },
}

export function copyFacts(change: Partial<CopyFacts> = {}): CopyFacts {
  return {
    role: 'replica',
    hasCopy: true,
    isTrusted: true,
    state: 'streaming',
    checksum: 'c9',
    position: LED_POSITION,
    stoodAt: undefined,
    leaderAddress: 'l:1',
    connected: true,
    follows: 'node-l',
    leaderNode: 'node-l',
    leaderTxid: 9,
    staleMs: 0,
    ...change,
  }
}

export function roleFacts(change: GivenFacts = {}): GivenFacts & RoleFacts {
  return {
    nowMs: 10_000,
    monotonicMs: 10_000,
    rules: { switchoverTimeoutMs: 5000, fenceWhenAloneMs: undefined, givenLeader: undefined },
    record: RECORD,
    recordPath: '/a.db-walcast/node.json',
    address: 'm:1',
    members: [],
    everybody: [],
    led: { position: LED_POSITION, isFenced: false, lastHeardMs: 0 },
    copy: undefined,
    replicas: [],
    lease: undefined,
    heldWrites: 0,
    ...change,
  }
}

export function driveRoles({
  state,
  facts: given = {},
  questions = { askAll: async () => ({ answers: [], unheard: [] }) } as unknown as PeerQuestions,
  clock = systemClock,
  frozenMs = 2000,
  end = () => undefined,
}: DrivenSetup): DrivenRoles {
  const log = pino({ level: 'silent' })
  const facts = roleFacts(given)
  const standstill = new Standstill(frozenMs, clock)
  const inbox = new RoleInbox(standstill, undefined)
  const role = { isLeading: state.memory.role === 'leader' }
  const admission = new WriteGate(
    { maxHeld: 10, holdMs: 10_000, address: 'm:1' },
    { isLeading: () => role.isLeading, check: () => inbox.checkAlive() },
  )
  const traffic = {
    admission,
    onLeading() {
      role.isLeading = true
      admission.release('change')
    },
    onFollowing() {
      role.isLeading = false
      admission.clear()
    },
  }
  const list = { clear() {}, expect() {}, list: () => [] }
  const slot = { engine: undefined }
  const journal = { changed() {}, started() {} }
  const parts = { log, traffic, replicas: list, members: list, journal, slot, onFatal() {} }
  const commands = { follow: async () => ({}) }
  const ordered: EngineOrder[] = []
  const engineOrders = {
    async carryOut(order: EngineOrder): Promise<RoleStepEnd> {
      ordered.push(order)
      return (await end(order)) ?? wellDone(order)
    },
  }
  const driver = new RoleDriver(
    {
      inbox,
      facts,
      questions,
      engineOrders,
      leaseOrders: new LeaseOrders(undefined, () => 'node-m'),
      peerOrders: new PeerOrders({ log, questions, commands } as unknown as PeerOrdersParts),
      instantOrders: new InstantOrders(parts as unknown as InstantOrdersParts),
      slot,
      journal,
      onFatal() {},
      lookMs: 2000,
    } as unknown as RoleDriverParts,
    state,
  )
  return { driver, inbox, standstill, admission, facts, ordered }
}

/** The event that tells that an order has ended as it was meant to. */
export function wellDone(order: EngineOrder): RoleStepEnd {
  switch (order.do) {
    case 'openLeader':
      return { type: 'leaderOpened' }
    case 'openReplica':
    case 'follow':
      return { type: 'followed' }
    case 'lockCopy':
      return { type: 'copyLocked' }
    case 'retire':
      return { type: 'retired', held: LED_POSITION, isTrusted: true }
    case 'recordLeading':
    case 'recordLeadingOn':
    case 'recordFollowing':
    case 'restoreRecord':
      return { type: 'recorded' }
    case 'beginCapture':
      return { type: 'captureBegun' }
    case 'admitWriters':
      return { type: 'writersAdmitted' }
    case 'redirect':
      return { type: 'redirected' }
    case 'endCheckpoints':
      return { type: 'checkpointsEnded' }
    case 'awaitQuiet':
      return { type: 'quiet', isQuiet: true }
    case 'takeFence':
      return { type: 'fenced' }
    case 'drain':
      return { type: 'drained', epoch: 3, txid: 9, checksum: 'c9' }
    case 'awaitAllLevel':
    case 'awaitNearlyLevel':
      return { type: 'levelled', isLevel: true }
    case 'awaitConfirmed':
      return { type: 'confirmed', isConfirmed: true }
    case 'awaitStreaming':
      return { type: 'streaming', isStreaming: true }
  }
}
