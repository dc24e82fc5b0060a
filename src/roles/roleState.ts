/**
 * Who leads, as one node decides it: a state, an event and a look at the node give the next state
 * and what is ordered. Pure: no clock, no file, no other node. `roleDriver.ts` brings the events;
 * `engineOrders.ts`, `peerOrders.ts` and `instantOrders.ts` carry out what is ordered.
 *
 *   starting ──nobody leads in its place──────────────────────────────────────> leading
 *      └──────a replica, or another node leads────────────────────────────────> following
 *
 *   following ─promote─> judging ─fit─> promoting ────────────────────────────> leading
 *       │                   └─not fit─> following    └─refused, failed─> following
 *       ├───take over, elected────────> promoting
 *       └───another leader─> redirecting ─> following
 *
 *   leading ─switchover─> handingOver ─taken, no answer─> yielding ───────────> following
 *      │                     └─failed, refused─> carryingOn ─> leading
 *      ├─demote, by an operator─> demoting ─────────────> yielding ───────────> following
 *      │                     └─failed─> carryingOn ─> leading
 *      ├─rival, demote by one, lease moved─> steppingDown ─> yielding ─────────> following
 *      ├─stood still, higher epoch heard─> asking ─rival─> steppingDown
 *      │                                     ├─others lack the last promotion─> raising
 *      │                                     └─none─> leading
 *      ├─others have what is missing here─> raising ─> leading
 *      └─alone, lease over─> fencingAlone ─> leading, closed ─not so─> openingAgain ─> leading
 *
 *   promoting    copy locked ─> retired ─> ROLE FILE ─> capture ─> writers in ─> others told
 *                      └──────────┴───────────┴───────────┴─> role file put back, follows
 *   handingOver  level ─> clock ─> held ─> quiet ─> fence ─> drain ─> confirmed ─> ROLE FILE ─┐
 *                                    └───────┴────────┴────────┴──────────┴─> carries on      │
 *                                                  ROLE FILE, carries on <─refused─ given <───┘
 *   demoting     held ─> quiet ─> fence ─> drain ─> replicas level ─> ROLE FILE ─> follows
 *   steppingDown held ─> fence (insists) ─> drain ─> ROLE FILE (insists) ─> follows
 *   raising      held ─> fence (insists) ─> drain ─> ROLE FILE ─> capture ─> writers in
 *
 * With a lock service a promotion takes the lease first, and a switchover hands it over between
 * ROLE FILE and `given`.
 *
 * The write lock is held from before the role file says that this node leads no more, and until
 * after it says that it leads. Each phase but `following`, `leading`, `stopped` and `failed` is a
 * change of role; there is one at a time. A failure that leaves the node between two roles makes
 * any phase `failed`; `stop` makes any phase `stopped` once no change is under way. A crash is no
 * event: the next process begins with `starting` and the role file.
 */
import type { PeerAnswer } from '../cluster/peerAnswer.ts'
import { WalcastError } from '../errors.ts'
import { answered, breakDown, carriedOn, giveUp, settle } from './state/changeEnd.ts'
import { whenDemoteAsked, whenDemoting } from './state/demotion.ts'
import { lookWhetherClosed, whenFencingAlone, whenOpeningAgain } from './state/isolation.ts'
import { whenJudging, whenPromoteAsked, whenTakeOverAsked } from './state/judging.ts'
import { onElected, onLeaseDue, onLeaseMoved } from './state/lease.ts'
import { look, lookAtOnce, onMoved, onStandstill } from './state/lookout.ts'
import { whenPromoting } from './state/promotion.ts'
import { lookInto, onAnswers, onPutBack, whenAsking } from './state/rivals.ts'
import type { RoleEvent, RoleNews, RoleRequest, RoleStepEnd } from './state/roleEvents.ts'
import type { RoleFacts } from './state/roleFacts.ts'
import { isChanging, isSettled, type RoleState, type Step, stay } from './state/rolePhases.ts'
import { whenStarting } from './state/startup.ts'
import { whenRaising, whenSteppingDown } from './state/stepDown.ts'
import { whenHandingOver, whenSwitchoverAsked } from './state/switchover.ts'
import { whenYielding } from './state/yielding.ts'

/** An event that means nothing in a phase changes nothing. */
export function step(facts: RoleFacts, state: RoleState, event: RoleEvent): Step {
  switch (event.type) {
    case 'promoteAsked':
    case 'demoteAsked':
    case 'switchoverAsked':
    case 'takeOverAsked':
      return onRequest(facts, state, event)
    case 'start':
    case 'lookDue':
    case 'looked':
    case 'lookedAtOnce':
    case 'leaderLost':
    case 'higherEpochHeard':
    case 'laterEpochSeen':
    case 'putBackHeard':
    case 'leaderMoved':
    case 'relayed':
    case 'stoodStill':
    case 'aloneLookDue':
    case 'elected':
    case 'leaseMoved':
    case 'leaseDue':
    case 'ending':
    case 'stop':
      return onNews(facts, state, event)
    default:
      return onStepEnd(facts, state, event)
  }
}

function onRequest(facts: RoleFacts, state: RoleState, event: RoleRequest): Step {
  const { request } = event
  const refuse = (error: WalcastError): Step => ({
    state,
    orders: [{ do: 'refuse', request, error }],
  })
  const { memory, phase } = state
  if (memory.isEnded || phase === 'stopped' || phase === 'failed')
    return refuse(new WalcastError('STOPPING'))
  if (phase === 'starting') return refuse(new WalcastError('STARTING'))
  if (isChanging(state))
    return refuse(new WalcastError('ROLE_CHANGING', { detail: state.change.what }))
  const { epoch, role } = facts.record
  switch (event.type) {
    case 'promoteAsked':
      if (phase === 'leading') return refuse(new WalcastError('ALREADY_LEADER', { epoch }))
      return whenPromoteAsked(facts, state, event)
    case 'takeOverAsked':
      if (phase === 'leading') return refuse(new WalcastError('ALREADY_LEADER', { epoch }))
      return whenTakeOverAsked(facts, state, event)
    case 'switchoverAsked':
      if (phase === 'following')
        return refuse(new WalcastError('NOT_LEADER', { address: facts.address, role }))
      return whenSwitchoverAsked(facts, state, event)
    case 'demoteAsked':
      return whenDemoteAsked(facts, state, event)
  }
}

function onNews(facts: RoleFacts, state: RoleState, event: RoleNews): Step {
  const { memory } = state
  const remember = (change: Partial<typeof memory>): RoleState => ({
    ...state,
    memory: { ...memory, ...change },
  })
  switch (event.type) {
    case 'start':
      return state.phase === 'starting' ? whenStarting(facts, state, event) : stay(state)
    case 'ending':
      return { state: remember({ isEnded: true }), orders: [{ do: 'announceStop' }] }
    case 'stop':
      return onStop(facts, remember({ isEnded: true, isToStop: true }))
    case 'lookDue':
      return look(facts, state)
    case 'leaderLost':
      return look(facts, remember({ lostMs: facts.nowMs }))
    case 'looked':
      return onLooked(facts, remember({ isLooking: false }), event.answers)
    case 'lookedAtOnce':
      return onLooked(facts, state, event.answers)
    case 'laterEpochSeen':
      return lookAtOnce(facts, state, event.epoch)
    case 'stoodStill':
      return onStandstill(facts, state, event.forMs)
    case 'leaderMoved':
      return onMoved(facts, state, event.address, event.epoch)
    case 'relayed':
      if (event.relay === facts.record.givenLeader) return stay(state)
      return onMoved(facts, state, event.leader, facts.record.epoch)
    case 'higherEpochHeard': {
      const { epoch, term } = event.by
      const { record } = facts
      if (!isSettled(state) || (epoch <= record.epoch && (term ?? 0) <= record.term))
        return stay(state)
      return state.phase === 'leading'
        ? lookInto(facts, state, event.by)
        : lookAtOnce(facts, state, epoch)
    }
    case 'putBackHeard':
      return isSettled(state) && state.phase === 'leading'
        ? onPutBack(facts, state, [event.seen])
        : stay(state)
    case 'aloneLookDue':
      return state.phase === 'leading' ? lookWhetherClosed(facts, state) : onLeaseDue(facts, state)
    case 'elected':
      return onElected(facts, state, event)
    case 'leaseMoved':
      return onLeaseMoved(facts, state, event)
    case 'leaseDue':
      return onLeaseDue(facts, state)
  }
}

/** What was ordered has ended. */
function onStepEnd(facts: RoleFacts, state: RoleState, event: RoleStepEnd): Step {
  switch (state.phase) {
    case 'starting':
      return whenStarting(facts, state, event)
    case 'judging':
      return event.type === 'answered' ? whenJudging(facts, state, event) : stay(state)
    case 'promoting':
      return whenPromoting(facts, state, event)
    case 'handingOver':
      return whenHandingOver(facts, state, event)
    case 'demoting':
      return whenDemoting(facts, state, event)
    case 'steppingDown':
      return whenSteppingDown(facts, state, event)
    case 'raising':
      return whenRaising(facts, state, event)
    case 'yielding':
      return whenYielding(facts, state, event)
    case 'carryingOn':
      if (event.type === 'writersAdmitted') return carriedOn(facts, state)
      // It would go on holding writes, and nothing would ever let them in.
      if (event.type !== 'failed') return stay(state)
      return breakDown(state.memory, state.change, event.error, event.error)
    case 'asking':
      return event.type === 'answered' ? whenAsking(facts, state, event.answers) : stay(state)
    case 'fencingAlone':
      return whenFencingAlone(facts, state, event)
    case 'openingAgain':
      return whenOpeningAgain(facts, state, event)
    case 'redirecting':
      if (event.type === 'redirected') return settle(facts, state.memory, answered(state.change))
      return event.type === 'failed'
        ? giveUp(facts, state.memory, state.change, event.error)
        : stay(state)
    case 'following':
    case 'leading':
    case 'stopped':
    case 'failed':
      return stay(state)
  }
}

function onLooked(facts: RoleFacts, state: RoleState, answers: readonly PeerAnswer[]): Step {
  return isSettled(state) ? onAnswers(facts, state, answers) : stay(state)
}

function onStop(facts: RoleFacts, state: RoleState): Step {
  const { memory } = state
  if (state.phase === 'stopped' || isChanging(state)) return stay(state)
  if (state.phase === 'failed' || state.phase === 'starting')
    return { state: { phase: 'stopped', memory }, orders: [{ do: 'stopEngine' }] }
  return settle(facts, memory, [])
}
