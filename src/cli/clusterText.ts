/** All nodes of a cluster as a table for people, with the causes in full below it. */
import {
  AWAY,
  type ClusterAnswer,
  type ClusterElection,
  type ClusterNode,
} from '../api/clusterOverview.ts'
import { secondsText } from '../api/electionLine.ts'
import { ageText } from '../health/causeText.ts'
import { pauseText } from './pauseText.ts'
import { formatMs, lines } from './queryCommand.ts'
import { moodOf } from './stateMood.ts'
import { type Cell, type Column, shown, table } from './table.ts'
import { agoText, brokenText, type Look, timeText } from './terminalLook.ts'

const NONE = '-'
/** Behind the id of the node that was asked. */
const ASKED_MARK = '*'

const COLUMNS: readonly (string | Column)[] = [
  { heading: 'node', least: 19 },
  'role',
  { heading: 'state', least: 10 },
  { heading: 'position', least: 7 },
  { heading: 'lag', isNumber: true, least: 5 },
  { heading: 'version', least: 5 },
  // Its text stands below the table.
  { heading: 'cause', least: 5 },
]

/** Beside those, where nothing is cut. */
const WIDE_COLUMNS: readonly (string | Column)[] = [
  ...COLUMNS,
  'address',
  { heading: 'behind', isNumber: true },
  'heard',
  'ack',
  'restorable until',
]

export function clusterText(answer: ClusterAnswer, look: Look): string {
  const { asked, cluster, database, leader, epoch, election, paused, nodes } = answer
  const head = lines(
    [
      [
        'cluster',
        `${cluster || 'none before the first copy'}, database ${database}, epoch ${epoch}`,
      ],
      ['leader', leader ?? 'NONE: no node that answers leads'],
      ['asked', `${asked} (${ASKED_MARK})`],
      ...(election ? electionPairs(election, nodes) : []),
      ...(paused ? [['role changes', `PAUSED ${pauseText(paused)}`] as const] : []),
    ],
    look,
  )
  const rows = nodes.map((node) => [
    ...cells(node, asked, look),
    ...(look.isWide ? wideCells(node, look) : []),
  ])
  const columns = look.isWide ? WIDE_COLUMNS : COLUMNS
  const causes = nodes.flatMap((node) =>
    node.causes.map(({ code, text }) =>
      brokenText(`${shown(nameOf(node))}: ${shown(code)}: ${shown(text)}`, 2, look),
    ),
  )
  const told = causes.length > 0 ? `\n${causes.join('\n')}\n` : ''
  return `${head}\n${table(columns, rows, look)}${told}`
}

/** Who holds the lease, and which nodes the lock service does not answer. */
function electionPairs(
  election: ClusterElection,
  nodes: readonly ClusterNode[],
): readonly (readonly [string, string])[] {
  const { service, ttlMs } = election
  const away = nodes.flatMap(({ node, election: of }) =>
    of && of.awayForMs !== null ? [`${node} (for ${ageText(of.awayForMs)})`] : [],
  )
  const silent = away.length > 0 ? `; DOES NOT ANSWER ${away.join(', ')}` : ''
  return [
    ['lease', election.text],
    ['lock service', `${service}, ttl ${secondsText(ttlMs)}${silent}`],
  ]
}

function nameOf({ node, address }: ClusterNode): string {
  return node || address
}

function cells(each: ClusterNode, asked: string, look: Look): Cell[] {
  const { node, role, position, lagMs, version, causes } = each
  return [
    node === asked ? `${node} ${ASKED_MARK}` : nameOf(each),
    role ?? NONE,
    { text: stateText(each, look), mood: moodOf(each.state) },
    position ?? NONE,
    role === 'leader' || lagMs === null ? NONE : formatMs(lagMs),
    version ?? NONE,
    causeText(causes),
  ]
}

function wideCells(each: ClusterNode, look: Look): Cell[] {
  const { address, behindTxids, ageMs, ack, restorableUntil } = each
  return [
    address || NONE,
    behindTxids === null ? NONE : String(behindTxids),
    ageMs === null ? 'never' : agoText(ageMs),
    ack ?? NONE,
    restorableUntil ? `${restorableUntil.position} of ${timeText(restorableUntil.at, look)}` : NONE,
  ]
}

function stateText({ state, awaySince }: ClusterNode, { isWide, nowMs }: Look): string {
  if (state !== AWAY || awaySince === null) return state
  if (isWide) return `${state} since ${awaySince}`
  return `${state} ${ageText(Math.max(0, nowMs - Date.parse(awaySince)))}`
}

/** Codes: the texts stand below the table. */
function causeText(causes: ClusterNode['causes']): string {
  const [first, ...more] = causes
  if (!first) return ''
  return more.length > 0 ? `${first.code} +${more.length}` : first.code
}
