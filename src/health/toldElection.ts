/** What another node tells of automatic failover, as far as a list of all nodes needs it. */
import type { ElectionReport } from '../api/electionReport.ts'
import { isNodeId } from '../nodeId.ts'
import { amountIn, type Fields, isCount, textIn } from './toldFields.ts'

export type ToldElection = Pick<
  ElectionReport,
  | 'service'
  | 'ttlMs'
  | 'isHeld'
  | 'node'
  | 'epoch'
  | 'validForMs'
  | 'isByAgreement'
  | 'awayForMs'
  | 'notPromoted'
>

const MAX_SERVICE_CHARS = 300
const MAX_WHY_CHARS = 300

/** Undefined when it is no such report: an older node has none, nor has one without elections. */
export function toldElection(value: unknown): ToldElection | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const told: Fields = Object(value)
  const { node, epoch } = told
  return {
    service: textIn(told, 'service', MAX_SERVICE_CHARS),
    ttlMs: amountIn(told, 'ttlMs'),
    isHeld: told['isHeld'] === true,
    node: typeof node === 'string' && isNodeId(node) ? node : null,
    epoch: isCount(epoch) ? epoch : null,
    validForMs: typeof told['validForMs'] === 'number' ? amountIn(told, 'validForMs') : null,
    isByAgreement: told['isByAgreement'] === true,
    awayForMs: typeof told['awayForMs'] === 'number' ? amountIn(told, 'awayForMs') : null,
    notPromoted: textIn(told, 'notPromoted', MAX_WHY_CHARS) || null,
  }
}
