/** `walcast backup now`: the archive has what the node has when the command ends. */
import {
  BACKUP_NOW_MS,
  BACKUP_PATH,
  type BackupNowAnswer,
  MAX_BACKUP_NOW_MS,
  type PlaceNow,
} from '../api/backupNow.ts'
import { momentText } from '../backup/moment.ts'
import { WalcastError } from '../errors.ts'
import { sizeText } from '../health/causeText.ts'
import { reportBackup } from './backupProgress.ts'
import { BACKED_UP } from './backupShapes.ts'
import { durationOf, NODE_FLAGS, nodeHelp, operator, parseAll } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { namedNode } from './namedNode.ts'
import { askJson } from './nodeClient.ts'
import { ProgressOutput } from './progressOutput.ts'
import { formatMs, jsonLine, lines } from './queryCommand.ts'
import { subcommandOf } from './subcommand.ts'

const HELP = `walcast backup now [NODE] [--db FILE] [--snapshot] [--timeout TIME] [--json]

Archives at once what the node has, and waits until every place of --backup has it. A node that does
not archive asks the one that does. Prints what each place has then, and what was written for it.

${nodeHelp(14)}
  --snapshot       also write a snapshot, from which a restore is quick
  --timeout TIME   wait so long at most [60s]
  --json           print the answer of /_walcast/backup unchanged

Exit code: 1 when a place does not have it in time; the node goes on trying.
`

export const FLAGS = {
  ...NODE_FLAGS,
  snapshot: { type: 'boolean' },
  timeout: { type: 'string' },
} as const
/** For the way to the node and back, and for one that asks another one. */
const ANSWER_MS = 15_000

type Flags = ReturnType<typeof parseAll<typeof FLAGS>>

export async function runBackup(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseAll(args, FLAGS)
  if (values.help) {
    showHelp(HELP)
    return 0
  }
  const [name = '', ...rest] = positionals
  return subcommandOf({ now: backUpNow }, 'backup', name)({ values, positionals: rest })
}

async function backUpNow({ values, positionals }: Flags): Promise<number> {
  const { json, db, node: flag, snapshot = false, timeout } = values
  const [named, extra] = positionals
  if (extra !== undefined || (named !== undefined && flag !== undefined))
    throw new WalcastError('USAGE', { detail: 'give one node: NODE or --node' })
  const timeoutMs = durationOf('timeout', timeout) ?? BACKUP_NOW_MS
  if (timeoutMs > MAX_BACKUP_NOW_MS)
    throw new WalcastError('USAGE', { detail: '--timeout is 6h at most' })
  const node = await namedNode({ node: named ?? flag, db }, process.env)
  const endReport = reportBackup(node, new ProgressOutput(json ?? false))
  const answer = await askJson<BackupNowAnswer>(
    {
      method: 'POST',
      node,
      path: BACKUP_PATH,
      environment: process.env,
      timeoutMs: timeoutMs + ANSWER_MS,
      body: { by: operator(), timeoutMs, snapshot },
    },
    BACKED_UP,
  ).finally(endReport)
  process.stdout.write(json ? jsonLine(answer) : backedUpText(answer))
  return 0
}

function backedUpText({ node, places, tookMs }: BackupNowAnswer): string {
  return lines([
    ...places.map((place): [string, string] => ['archive', placeText(place)]),
    ['by', node],
    ['took', formatMs(tookMs)],
  ])
}

function placeText({ place, position, at, bytes, snapshot }: PlaceNow): string {
  const time = at === undefined ? '' : ` of ${momentText(Date.parse(at))}`
  const written = bytes === 0 ? 'it was level before' : `${sizeText(bytes)} written`
  return `${place}: ${position}${time}, ${written}${snapshot ? `, ${snapshot}` : ''}`
}
