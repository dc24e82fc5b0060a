/**
 * Transactions over Consul's keys: all operations or none
 * (https://developer.hashicorp.com/consul/api-docs/txn). Consul tells only in words why it did not
 * do one. The words for a condition that does not hold are known; any others are a failure.
 */
import { Fields } from '../../../cluster/checkedFields.ts'
import type { ConsulAgent } from './agent.ts'

export interface KeyOperation {
  readonly Verb: 'cas' | 'check-session' | 'delete' | 'lock' | 'set'
  readonly Key: string
  /** In base64. */
  readonly Value?: string
  readonly Flags?: number
  /** For `cas`: of the last change of the key; 0 when there is none. */
  readonly Index?: number
  readonly Session?: string
}

/** Consul takes no more operations at once, and so tells no more failures. */
const MAX_OPERATIONS = 64
const MAX_REASON_CHARS = 2000
/** Of `txnKVS` and `preCheck` in Consul's source, 0.7 to 1.22. */
const CONDITION = new RegExp(
  [
    'index is stale$',
    'lock is already held$',
    'due to lock delay$',
    '^invalid session ',
    '^failed session check for key ',
    "^failed to check session, key .* doesn't exist$",
  ].join('|'),
)

/** Whether it was done. Throws ELECTION_AWAY: whether it was done is not known then. */
export async function transact(
  agent: ConsulAgent,
  operations: readonly KeyOperation[],
  untilMs: number,
): Promise<boolean> {
  const answer = await agent.request({
    method: 'PUT',
    path: 'txn',
    // Heeded when nothing is written: the server makes sure that it leads before it answers.
    query: { consistent: '' },
    body: operations.map((operation) => ({ KV: operation })),
    untilMs,
  })
  if (answer.status !== 409) {
    // One for each operation but those that delete.
    const isDone = resultsIn(agent.json(answer)) > 0
    if (!isDone) throw agent.away('it does not tell the outcome of a transaction')
    return true
  }
  const reasons = reasonsIn(answer.text)
  if (reasons.length > 0 && reasons.every((reason) => CONDITION.test(reason))) return false
  throw agent.refusal(409, reasons.find((reason) => !CONDITION.test(reason)) ?? '')
}

function resultsIn(value: unknown): number {
  const { Results }: { Results?: unknown } = Object(value)
  return Array.isArray(Results) ? Results.length : 0
}

function reasonsIn(text: string): readonly string[] {
  try {
    return new Fields(JSON.parse(text), 'the answer').list('Errors', MAX_OPERATIONS, (error) => {
      const what = error.value('What')
      return typeof what === 'string' ? what.trim().slice(0, MAX_REASON_CHARS) : ''
    })
  } catch {
    return []
  }
}
