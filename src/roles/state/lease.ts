/** What the lease of a leader, and what becomes of it, means for its role. */
import { AUTOMATIC_FAILOVER } from '../../api/electionReport.ts'
import { WalcastError } from '../../errors.ts'
import { giveUp } from './changeEnd.ts'
import { lookWhetherClosed } from './isolation.ts'
import { leaseProblem } from './leaseProblem.ts'
import { onMoved } from './lookout.ts'
import { lead } from './promotion.ts'
import type { RoleNews } from './roleEvents.ts'
import type { RoleFacts } from './roleFacts.ts'
import type { RoleOrder } from './roleOrders.ts'
import { isSettled, type RoleState, type Step, stay } from './rolePhases.ts'
import { stepDown } from './stepDown.ts'

type News<Type extends RoleNews['type']> = Extract<RoleNews, { readonly type: Type }>

const ELECTED = { what: 'an automatic promotion', request: undefined }
const GIVING_WAY = { what: 'giving way', request: undefined }

/** The lease was taken as a candidate. Whoever cannot lead by it lets go of it. */
export function onElected(facts: RoleFacts, state: RoleState, event: News<'elected'>): Step {
  const { copy, lease, record } = facts
  if (!lease?.isHeld || state.memory.role === 'leader') return stay(state)
  // A change that is under way takes the lease itself, or lets go of it at its end.
  if (!isSettled(state)) return stay(state)
  const { epoch, reason } = event
  const detail = !copy?.hasCopy
    ? 'it has no whole copy of the database'
    : !copy.isTrusted
      ? "its content is known to differ from its leader's"
      : epoch <= record.epoch
        ? `it knows of epoch ${record.epoch} by now`
        : undefined
  if (!copy || detail !== undefined)
    return giveUp(
      facts,
      state.memory,
      ELECTED,
      new WalcastError('NOT_FIT', { detail: detail ?? 'its copy is being opened' }),
    )
  return lead(facts, state.memory, ELECTED, copy, {
    epoch,
    reason,
    by: AUTOMATIC_FAILOVER,
    expected: undefined,
    answers: [],
    asked: undefined,
  })
}

/** The lease makes another node the leader. It is told again as long as that is so. */
export function onLeaseMoved(facts: RoleFacts, state: RoleState, event: News<'leaseMoved'>): Step {
  const { node, address, epoch } = event
  if (!isSettled(state) || epoch < facts.record.epoch) return stay(state)
  if (state.phase === 'following') return onMoved(facts, state, address, epoch)
  return stepDown(
    state.memory,
    GIVING_WAY,
    `node ${node} has the lease, and leads in epoch ${epoch}`,
    address || undefined,
  )
}

/** Also within a change of role: no request is let in by a lease that has run out. */
export function onLeaseDue(facts: RoleFacts, state: RoleState): Step {
  if (state.phase === 'leading') return lookWhetherClosed(facts, state)
  const { memory } = state
  const error = leaseProblem(facts)
  if (!error || memory.role !== 'leader') return stay(state)
  // The change goes on, and may take the write lock itself by and by: that may be too late.
  const fence: RoleOrder[] = facts.led?.isFenced ? [] : [{ do: 'fenceMeanwhile' }]
  if (memory.isClosed) return { state, orders: fence }
  return {
    state: { ...state, memory: { ...memory, isClosed: true } },
    orders: [{ do: 'refuseWrites', error }, ...fence],
  }
}
