/** What commands that write into a database as an application does ask of its node. */
import { AUDIT_PATH, type AuditNote } from '../api/audit.ts'
import { SETTLE_PATH, type SettleAnswer } from '../api/settled.ts'
import { asWalcastError, WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import { operator } from './commandArguments.ts'
import { askJson, getJson } from './nodeClient.ts'
import type { NodeTarget } from './nodeTarget.ts'
import { shown } from './queryCommand.ts'
import { count, fields, flag, text } from './shape.ts'

const SETTLED = fields({
  ...{ node: text, role: text, epoch: count, txid: count, incarnation: text, checksum: text },
  isCaptured: flag,
})
const NOTED = fields({ noted: flag })
const LOOK_MS = 20
const NOTE_MS = 10_000
/** As much as the audit log keeps. */
const MAX_DETAIL_CHARS = 500

/**
 * Where the node stands once it has captured every commit made before the call. Throws NOT_LEADER,
 * WAIT_TIMEOUT after `limitMs`, and what asking a node throws.
 */
export async function settledNode(target: NodeTarget, limitMs: number): Promise<SettleAnswer> {
  const untilMs = monotonicMs() + limitMs
  for (;;) {
    const answer = await getJson<SettleAnswer>(target, SETTLE_PATH, process.env, SETTLED)
    const { role, node } = answer
    if (role !== 'leader') throw new WalcastError('NOT_LEADER', { address: node, role })
    if (answer.isCaptured) return answer
    if (monotonicMs() >= untilMs)
      throw new WalcastError('WAIT_TIMEOUT', { wanted: 'the last commit', timeoutMs: limitMs })
    await delay(LOOK_MS)
  }
}

/**
 * Leaves an entry in the audit log of the node. What was done stands: a failure is told on standard
 * error.
 */
export async function noteInAudit(
  target: NodeTarget,
  note: Pick<AuditNote, 'action' | 'outcome' | 'detail'>,
): Promise<void> {
  const detail = plainText(note.detail, MAX_DETAIL_CHARS)
  const body = { ...note, detail, by: operator() }
  const asked = { method: 'POST', node: target, path: AUDIT_PATH, body } as const
  try {
    await askJson({ ...asked, environment: process.env, timeoutMs: NOTE_MS }, NOTED)
  } catch (error) {
    const { key, line } = asWalcastError(error)
    // A database without a node has no audit log.
    if (key === 'NO_LOCAL_NODE') return
    process.stderr.write(`${shown(`no entry in the audit log of the node: ${line}`)}\n`)
  }
}
