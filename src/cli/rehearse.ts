/**
 * `walcast rehearse`: a switchover there and back. Reports what each way cost, and what a crash
 * would have cost.
 */
import { errorBody } from '../proxy/answer.ts'
import { durationOf, NODE_FLAGS, nodeHelp, operator, parseForNode } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { countText, STAGE_HEADINGS, stageTimes } from './leadershipText.ts'
import { namedNode } from './namedNode.ts'
import { formatMs, jsonLine, lines } from './queryCommand.ts'
import { type Rehearsal, type RehearsedWay, rehearse } from './rehearsal.ts'
import { table } from './table.ts'
import { FULL_LOOK } from './terminalLook.ts'

const HELP = `walcast rehearse [NODE] [--db FILE] [--to NODE] [--timeout TIME] [--json]

Moves leadership to another node and back, for real. Reports for each way how long writes paused,
how many were held, how long each stage took, and what a crash of the leader just before would have
lost.

${nodeHelp(14)}
  --to NODE        id or address of the node to go to [the replica furthest ahead]
  --timeout TIME   give up a way when writes would be held for longer
  --json           print everything measured as JSON

Exit code: 0 when the first leader leads again, else 1.
`

export const FLAGS = { ...NODE_FLAGS, to: { type: 'string' }, timeout: { type: 'string' } } as const

export async function runRehearse(args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, FLAGS)
  const { help, json, to, timeout } = values
  if (help) {
    showHelp(HELP)
    return 0
  }
  const timeoutMs = durationOf('timeout', timeout)
  const node = await namedNode(named, process.env)
  const rehearsal = await rehearse({ node, to, timeoutMs, by: operator() })
  const { failure, ...rest } = rehearsal
  process.stdout.write(
    json
      ? jsonLine({ ...rest, ...(failure ? { failure: errorBody(failure) } : {}) })
      : format(rehearsal),
  )
  if (failure) throw failure
  return 0
}

function format({ ok, ways, leader }: Rehearsal): string {
  const went = ok ? 'leadership went there and back' : 'leadership went there and not back'
  const head = lines([
    ['rehearsal', went],
    ['leader', leader],
  ])
  const rows = ways.map((way, i) => [i === 0 ? 'there' : 'back', ...wayCells(way)])
  const columns = [
    '',
    'from',
    'to',
    'pause',
    'writes held',
    'took',
    'crash would lose',
    'target was',
  ]
  const stages = ways.map((way, i) => [i === 0 ? 'there' : 'back', ...stageTimes(way.switchover)])
  const times = table(['', ...STAGE_HEADINGS], stages, FULL_LOOK)
  return `${head}\n${table(columns, rows, FULL_LOOK)}\n${times}`
}

function wayCells({ to, atRisk, switchover }: RehearsedWay): string[] {
  const { pauseMs, heldWrites, tookMs } = switchover
  return [
    switchover.from.node,
    switchover.to.node,
    formatMs(pauseMs),
    String(heldWrites),
    formatMs(tookMs),
    riskText(atRisk),
    to.fit ? 'fit' : `not fit: ${to.reasons.join(', ')}`,
  ]
}

function riskText(atRisk: number | null): string {
  if (atRisk === null) return 'unknown: another epoch'
  return atRisk === 0 ? 'nothing' : `at most ${countText(atRisk, 'transaction')}`
}
