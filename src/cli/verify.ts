/**
 * `walcast verify`: several nodes check all their pages, then their states are compared, while
 * writes go on.
 */
import { parseArgs } from 'node:util'
import {
  POSITIONS_PATH,
  type PositionsAnswer,
  SCRUB_PATH,
  type ScrubAnswer,
} from '../api/checks.ts'
import { messageOf, WalcastError } from '../errors.ts'
import { parseValue } from '../options/optionValues.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import { POSITIONS, SCRUBBED } from './answerShapes.ts'
import { flagError, joinNegatives } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { namedNode } from './namedNode.ts'
import { getJson, postJson } from './nodeClient.ts'
import { type NodeTarget, targetText } from './nodeTarget.ts'
import { ProgressOutput } from './progressOutput.ts'
import { formatBytes, jsonLine, lines, shown } from './queryCommand.ts'
import { ScrubProgress } from './scrubProgress.ts'
import { brokenText, type Look, lookOf } from './terminalLook.ts'
import { type Agreement, type Asked, agreementOf, isSound } from './verifyVerdict.ts'

const HELP = `walcast verify --node NODE --node NODE [--node NODE...] [--json]

Makes all nodes read every page of their databases from disk, at the same time and at full speed,
and check it against its checksum. Then compares the nodes' states at one position. Writes go on
meanwhile.

Names each rotten page, one that is no longer what was written. A replica repairs it from its leader
by itself: run verify again to see.

  --node NODE      id, HOST:PORT or URL of a node; give it at least twice
  --timeout TIME   how long a node may take to read its database [1h]
  --json           print all answers and the verdict as JSON; the progress goes to standard error

Exit code: 0 when all states are the same and no page is rotten, else 1.
`

/** How long nodes may take to reach a common position, and the pause between two questions. */
const COMMON_MS = 15_000
const ASK_AGAIN_MS = 250

interface Verdict {
  readonly ok: boolean
  readonly nodes: readonly ({ readonly address: string } & Asked<ScrubAnswer>)[]
  readonly agreement: Agreement
}

export async function runVerify(args: readonly string[]): Promise<number> {
  const { help, json, node: nodes = [], timeout = '1h' } = parse(args)
  if (help) {
    showHelp(HELP)
    return 0
  }
  const timeoutMs = Number(parseValue('timeout', 'duration', timeout))
  if (nodes.length < 2)
    throw new WalcastError('USAGE', {
      detail: 'verify compares at least two nodes: --node NODE --node NODE',
    })
  const targets: NodeTarget[] = []
  for (const node of nodes) targets.push(await namedNode({ node }, process.env))
  const { scrubs, agreement } = await verify(targets, timeoutMs, new ProgressOutput(json ?? false))
  const verdict: Verdict = {
    ok: agreement.same && scrubs.every(isSound),
    nodes: nodes.map((address, i) => ({ address, ...scrubs[i] })),
    agreement,
  }
  process.stdout.write(
    json ? jsonLine(verdict) : format(verdict, lookOf(process.stdout, process.env)),
  )
  return verdict.ok ? 0 : 1
}

async function verify(
  nodes: readonly NodeTarget[],
  timeoutMs: number,
  output: ProgressOutput,
): Promise<{ readonly scrubs: Asked<ScrubAnswer>[]; readonly agreement: Agreement }> {
  const scrubs = await scrubAll(nodes, timeoutMs, output)
  const isComplete = scrubs.every((scrub) => 'answer' in scrub)
  const agreement: Agreement = isComplete
    ? await agree(nodes, output).finally(() => output.end())
    : { same: false, isFinal: true, why: 'not every node answered' }
  return { scrubs, agreement }
}

async function scrubAll(
  nodes: readonly NodeTarget[],
  timeoutMs: number,
  output: ProgressOutput,
): Promise<Asked<ScrubAnswer>[]> {
  const watched = new ScrubProgress(nodes, output)
  return Promise.all(
    nodes.map(async (node) => {
      const scrub = await attempt(
        postJson<ScrubAnswer>(node, SCRUB_PATH, process.env, SCRUBBED, timeoutMs),
      )
      watched.onDone(node)
      return scrub
    }),
  )
}

/** Asks until all nodes know a common position: one that lags or is repaired catches up. */
async function agree(nodes: readonly NodeTarget[], output: ProgressOutput): Promise<Agreement> {
  const endMs = monotonicMs() + COMMON_MS
  for (;;) {
    const asked = await Promise.all(
      nodes.map((node) =>
        attempt(getJson<PositionsAnswer>(node, POSITIONS_PATH, process.env, POSITIONS)),
      ),
    )
    const known = asked.flatMap((each, i) =>
      'answer' in each ? [{ address: targetText(nodes[i]), positions: each.answer }] : [],
    )
    const failure = asked.find((each) => 'failure' in each)
    const agreement: Agreement = failure
      ? { same: false, isFinal: false, why: 'failure' in failure ? failure.failure : '' }
      : agreementOf(known)
    if (agreement.same || agreement.isFinal || monotonicMs() > endMs) return agreement
    output.wait(agreement.why)
    await delay(ASK_AGAIN_MS)
  }
}

async function attempt<T>(asked: Promise<T>): Promise<Asked<T>> {
  try {
    return { answer: await asked }
  } catch (error) {
    return { failure: error instanceof WalcastError ? error.line : messageOf(error) }
  }
}

function format({ nodes, agreement, ok }: Verdict, look: Look): string {
  const told = nodes.map((node): [string, string] => [
    shown(node.address),
    'answer' in node ? describe(node.answer) : node.failure,
  ])
  const verdicts = [
    agreement.same
      ? `the same state at ${agreement.position}: ${agreement.checksum}`
      : `NOT VERIFIED: ${agreement.why}`,
    ...(!ok && agreement.same ? ['NOT VERIFIED: not every page holds what was written'] : []),
  ]
  const texts = verdicts.map((line) => `${brokenText(shown(line), 2, look)}\n`)
  return `${lines(told, look)}${texts.join('')}`
}

export function describe(scrub: ScrubAnswer): string {
  const { role, node, pagesRead, pageSize, direct, seconds } = scrub
  const from = direct ? 'from the disk' : 'through the page cache'
  const size = formatBytes(pagesRead * pageSize)
  const read = `${pagesRead} pages (${size}) read ${from} in ${seconds.toFixed(1)} s`
  return shown(`${role} ${node}: ${read}, ${findings(scrub)}`)
}

/** Runs of pages as FIRST-LAST. */
function pagesText(pages: readonly number[]): string {
  const runs: [number, number][] = []
  for (const page of pages) {
    const run = runs.at(-1)
    if (run && page === run[1] + 1) run[1] = page
    else runs.push([page, page])
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ')
}

function findings({ role, rotten, rottenPages, unexplained, whole }: ScrubAnswer): string {
  if (rottenPages === 0 && unexplained === 0) return 'none rotten'
  if (rottenPages === 0)
    return `none rotten in this pass, ${unexplained} from earlier passes not repaired yet`
  const more = rottenPages > rotten.length ? ', ...' : ''
  const cure = role === 'leader' ? 'to be restored' : 'being repaired from the leader'
  const early = whole ? '' : '; stopped early, there may be more'
  return `${rottenPages} rotten: ${pagesText(rotten)}${more} (${cure}${early})`
}

export const FLAGS = {
  help: { type: 'boolean' },
  json: { type: 'boolean' },
  node: { type: 'string', multiple: true },
  timeout: { type: 'string' },
} as const

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: joinNegatives(args, FLAGS), options: FLAGS }).values
  } catch (error) {
    throw flagError(error, FLAGS)
  }
}
