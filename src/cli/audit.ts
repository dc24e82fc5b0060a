/** `walcast audit`: who changed a node's role or its list of replicas, when and why. */

import { AUDIT_PATH, type AuditAnswer, type AuditEntry, MAX_AUDIT_ENTRIES } from '../api/audit.ts'
import { WalcastError } from '../errors.ts'
import { parseNumber } from '../options/optionValues.ts'
import { AUDIT } from './answerShapes.ts'
import { NODE_FLAGS, nodeHelp, parseForNode } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { namedNode } from './namedNode.ts'
import { getJson } from './nodeClient.ts'
import { jsonLine } from './queryCommand.ts'
import { type Cell, table } from './table.ts'
import { FULL_LOOK, type Look, timeText } from './terminalLook.ts'
import { showAnswers, WATCH_FLAGS, watchHelp } from './watch.ts'

const HELP = `walcast audit [NODE] [--db FILE] [--limit N] [--json] [--watch]

Shows who changed a node's role, its list of replicas or its tokens, when, and with what result;
and who was refused. The newest entry is last. FILE-walcast/audit.jsonl has the whole log, and
noted.jsonl beside it what holders of a token made the node note: at most half of what is shown.

${nodeHelp(10)}
  --limit N    show so many entries, at most 200 [20]
  --json       print one JSON object a line; with --watch each entry once
${watchHelp(10)}
`

export const FLAGS = { ...NODE_FLAGS, ...WATCH_FLAGS, limit: { type: 'string' } } as const

export async function runAudit(args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, FLAGS)
  const { help, limit = '20' } = values
  if (help) {
    showHelp(HELP)
    return 0
  }
  const count = parseNumber('limit', limit)
  if (count < 1 || count > MAX_AUDIT_ENTRIES)
    throw new WalcastError('USAGE', {
      detail: `--limit wants a number from 1 to ${MAX_AUDIT_ENTRIES}`,
    })
  const path = `${AUDIT_PATH}?limit=${count}`
  const node = await namedNode(named, process.env)
  await showAnswers<AuditAnswer>(
    {
      title: 'walcast audit',
      ask: () => getJson<AuditAnswer>(node, path, process.env, AUDIT),
      format: ({ entries }, look) => auditTable(entries, look),
      json: newEntries(),
    },
    values,
  )
  return 0
}

/** A program that follows the log wants each entry once. */
function newEntries(): (answer: AuditAnswer) => string {
  let last: ReadonlySet<string> = new Set()
  return ({ entries }) => {
    const lines = entries.map(jsonLine)
    const fresh = lines.filter((line) => !last.has(line))
    last = new Set(lines)
    return fresh.join('')
  }
}

export function auditTable(entries: readonly AuditEntry[], look: Look = FULL_LOOK): string {
  if (entries.length === 0) return 'nothing yet\n'
  const rows = entries.map(
    ({ at, node, action, outcome, role, epoch, txid, by, detail }): Cell[] => [
      timeText(at, look),
      node,
      { text: `${action} ${outcome}`, mood: outcome === 'done' ? undefined : 'bad' },
      role,
      `${epoch}-${txid}`,
      by,
      detail ?? '',
    ],
  )
  return table(['at', 'node', 'action', 'role', 'position', 'by', 'detail'], rows, look)
}
