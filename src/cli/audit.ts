/** `walcast audit`: who changed a node's role or its list of replicas, when and why. */

import { AUDIT_PATH, type AuditAnswer, type AuditEntry, MAX_AUDIT_ENTRIES } from '../api/audit.ts'
import { WalcastError } from '../errors.ts'
import { parseNumber } from '../options/optionValues.ts'
import { AUDIT } from './answerShapes.ts'
import { NODE_FLAGS, nodeHelp, parseForNode } from './commandArguments.ts'
import { namedNode } from './namedNode.ts'
import { getJson } from './nodeClient.ts'
import { jsonLine, table } from './queryCommand.ts'

const HELP = `walcast audit [NODE] [--db FILE] [--limit N] [--json]

Shows who changed a node's role, its list of replicas or its tokens, when, and with what result;
and who was refused. The newest entry is last. FILE-walcast/audit.jsonl has the whole log, and
noted.jsonl beside it what holders of a token made the node note: at most half of what is shown.

${nodeHelp(10)}
  --limit N    show so many entries, at most 200 [20]
  --json       print one JSON object a line
`

const FLAGS = { ...NODE_FLAGS, limit: { type: 'string' } } as const

export async function runAudit(args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, FLAGS)
  const { help, json, limit = '20' } = values
  if (help) {
    process.stdout.write(HELP)
    return 0
  }
  const count = parseNumber('limit', limit)
  if (count < 1 || count > MAX_AUDIT_ENTRIES)
    throw new WalcastError('USAGE', {
      detail: `--limit wants a number from 1 to ${MAX_AUDIT_ENTRIES}`,
    })
  const path = `${AUDIT_PATH}?limit=${count}`
  const node = await namedNode(named, process.env)
  const { entries } = await getJson<AuditAnswer>(node, path, process.env, AUDIT)
  process.stdout.write(json ? entries.map(jsonLine).join('') : auditTable(entries))
  return 0
}

export function auditTable(entries: readonly AuditEntry[]): string {
  if (entries.length === 0) return 'nothing yet\n'
  const rows = entries.map(({ at, node, action, outcome, role, epoch, txid, by, detail }) => [
    at,
    node,
    `${action} ${outcome}`,
    role,
    `${epoch}-${txid}`,
    by,
    detail ?? '',
  ])
  return table(['at', 'node', 'action', 'role', 'position', 'by', 'detail'], rows)
}
