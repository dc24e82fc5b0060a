/** `walcast lag --since TIME`: what a node remembers of its lag, as a table. */
import {
  LAG_HISTORY_PATH,
  type LagHistoryAnswer,
  type LagPercentiles,
  type LagPoint,
  MAX_LAG_POINTS,
  MIN_LAG_POINTS,
} from '../api/lagHistory.ts'
import { type CauseSpan, causeSpans, isGap } from '../api/lagSpans.ts'
import { parseTime, TIME_FORMS } from '../backup/moment.ts'
import { plainText } from '../plainText.ts'
import { wallMs } from '../platform/time.ts'
import { STAGES, type Stage } from '../replica/lag.ts'
import { auditTable } from './audit.ts'
import { LAG_HISTORY } from './lagShapes.ts'
import { type NamedNode, namedNode } from './namedNode.ts'
import { getJson } from './nodeClient.ts'
import { formatBytes, formatMs, jsonLine, lines, shown } from './queryCommand.ts'
import { type Column, table } from './table.ts'
import type { Look } from './terminalLook.ts'
import { usage } from './usage.ts'
import { showAnswers, type WatchFlags } from './watch.ts'

export const HISTORY_FLAGS = {
  since: { type: 'string' },
  until: { type: 'string' },
  points: { type: 'string' },
  stage: { type: 'string' },
} as const

export interface HistoryFlags extends WatchFlags {
  readonly since?: string | undefined
  readonly until?: string | undefined
  readonly points?: string | undefined
  readonly stage?: string | undefined
}

export const HISTORY_HELP = `
  --since TIME    show what the node remembers since then, up to a week: 2h, 3d, or an ISO time
  --until TIME    up to then [now]
  --points N      in so many lines at most, from ${MIN_LAG_POINTS} to ${MAX_LAG_POINTS} [40]
  --stage STAGE   percentiles of one stage: ${STAGES.join(', ')}
Each line has the worst of its time.`

/** Columns that a table of everything takes. */
const WIDE_COLUMNS = 100
const USUAL_POINTS = 40
const MAX_SHOWN_CHARS = 100

interface Wanted {
  readonly since: string
  readonly until: string | undefined
  readonly points: number
  readonly stage: Stage | undefined
}

export async function showLagHistory(flags: HistoryFlags, named: NamedNode): Promise<void> {
  const wanted = wantedBy(flags)
  const node = await namedNode(named, process.env)
  await showAnswers<LagHistoryAnswer>(
    {
      title: `walcast lag --since ${wanted.since}`,
      ask: () => getJson<LagHistoryAnswer>(node, pathOf(wanted), process.env, LAG_HISTORY),
      format: (answer, look) => lagHistoryText(answer, look, wanted.stage),
      json: jsonLine,
    },
    flags,
  )
}

/** Throws USAGE. */
function wantedBy({ since, until, points, stage }: HistoryFlags): Wanted {
  if (since === undefined) throw usage('--until, --points and --stage go with --since')
  const wanted = {
    since,
    until,
    points: points === undefined ? USUAL_POINTS : pointsOf(points),
    stage: stage === undefined ? undefined : stageOf(stage),
  }
  pathOf(wanted)
  return wanted
}

/** The times count from now. Throws USAGE. */
function pathOf({ since, until, points }: Wanted): string {
  const fromMs = timeOf('since', since)
  const to = until === undefined ? undefined : timeOf('until', until)
  if (to !== undefined && to <= fromMs) throw usage('--until is not after --since')
  const query = [`from=${fromMs}`, ...(to === undefined ? [] : [`to=${to}`]), `points=${points}`]
  return `${LAG_HISTORY_PATH}?${query.join('&')}`
}

function timeOf(flag: string, text: string): number {
  const nowMs = wallMs()
  const atMs = parseTime(text, nowMs) ?? parseTime(`${text} ago`, nowMs)
  if (atMs !== undefined) return atMs
  const given = plainText(text, MAX_SHOWN_CHARS)
  throw usage(`--${flag} wants 2h, or ${TIME_FORMS}; not "${given}"`)
}

function pointsOf(text: string): number {
  const points = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (points >= MIN_LAG_POINTS && points <= MAX_LAG_POINTS) return points
  throw usage(`--points wants a number from ${MIN_LAG_POINTS} to ${MAX_LAG_POINTS}`)
}

function stageOf(text: string): Stage {
  const stage = STAGES.find((each) => each === text)
  if (stage === undefined) throw usage(`--stage wants one of ${STAGES.join(', ')}`)
  return stage
}

export function lagHistoryText(answer: LagHistoryAnswer, look: Look, stage?: Stage): string {
  const { node, from, to, points, pointSeconds, events } = answer
  const head = shown(`${node}, ${timeText(from, look)} to ${timeText(to, look)}`)
  if (points.length === 0) return `${head}: nothing was measured\n`
  const spans = causeSpans(points, pointSeconds).filter(isInTime)
  const told = spans.map(({ code, fromMs, toMs }) => {
    const [began, ended] = [fromMs, toMs].map((ms) => timeText(new Date(ms).toISOString(), look))
    return ['cause', `${code}: ${began} to ${ended}`] as const
  })
  return [
    `${head}, ${pointSeconds} s a line\n`,
    table(columnsOf(look), rowsOf(answer, look, stage), look),
    told.length > 0 ? `\n${lines(told, look)}` : '',
    events.length > 0 ? `\n${auditTable(events, look)}` : '',
  ].join('')
}

/** Another node may tell times that are none. */
function isInTime({ fromMs, toMs }: CauseSpan): boolean {
  return Number.isFinite(fromMs) && Number.isFinite(toMs)
}

function columnsOf(look: Look): Column[] {
  const numbers = ['lag', 'p50', 'p95', 'p99', 'tx/s', 'WAL', 'held']
  const more = isRoomy(look) ? ['bytes/s', 'pauses', 'longest'] : []
  const columns = [...numbers, ...more].map((heading) => ({ heading, isNumber: true }))
  return [{ heading: 'from', least: 8 }, { heading: 'role' }, ...columns]
}

function rowsOf(
  { points, pointSeconds }: LagHistoryAnswer,
  look: Look,
  stage: Stage | undefined,
): string[][] {
  return points.flatMap((point, i) => {
    const row = rowOf(point, look, stage)
    const isAfterGap = i > 0 && isGap(points[i - 1], point, pointSeconds)
    return isAfterGap ? [[timeText(points[i - 1].to, look), 'no measure'], row] : [row]
  })
}

function rowOf(point: LagPoint, look: Look, stage: Stage | undefined): string[] {
  const percentiles = stage === undefined ? point.percentiles : (point.stages?.[stage] ?? null)
  return [
    timeText(point.from, look),
    point.role,
    formatMs(point.lagMs),
    ...percentileTexts(percentiles),
    String(Math.round(point.transactionsPerSecond * 10) / 10),
    formatBytes(point.walBytes),
    String(point.heldWrites),
    ...(isRoomy(look)
      ? [formatBytes(point.bytesPerSecond), String(point.pauses), formatMs(point.longestPauseMs)]
      : []),
  ]
}

function percentileTexts(percentiles: LagPercentiles | null): string[] {
  if (!percentiles) return ['-', '-', '-']
  return [percentiles.p50Ms, percentiles.p95Ms, percentiles.p99Ms].map(formatMs)
}

function isRoomy({ columns }: Look): boolean {
  return columns >= WIDE_COLUMNS
}

/** Where the terminal is: with the date on another day than today; in full where all is in full. */
function timeText(iso: string, { isWide, nowMs }: Look): string {
  if (isWide) return iso
  const at = new Date(iso)
  const two = (number: number) => String(number).padStart(2, '0')
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')
  if (at.toDateString() === new Date(nowMs).toDateString()) return clock
  return `${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock}`
}
