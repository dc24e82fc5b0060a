/**
 * Names of dated snapshots, and which of them stay. Pure.
 *
 *     app/app-2026-11-30T140207Z-1-105.db.gz    NAME/NAME-TIME-EPOCH-TXID.db.gz
 */
import { basename } from 'node:path'
import type { Position } from '../../../proto/position.ts'
import type { KeepPolicy, KeepWindow } from '../../options/keepPolicy.ts'
import { PERIOD_OF, periodStart } from '../retention/periods.ts'

export interface DatedName {
  /** Of the database. */
  readonly database: string
  /** ms since 1970; whole seconds. */
  readonly timeMs: number
  readonly position: Position
}

export interface DatedSnapshot extends DatedName {
  readonly name: string
  readonly bytes: number
}

const FORM = /^([^/]+)\/\1-(\d{4}-\d\d-\d\dT)(\d\d)(\d\d)(\d\d)Z-(\d{1,15})-(\d{1,15})\.db\.gz$/
const MAX_DATABASE_CHARS = 64

/** What stands for a database in names: its file without folder and ending. */
export function databaseName(path: string): string {
  const name = basename(path).replace(/\.(?:db|sqlite3?)$/i, '')
  const plain = name.replace(/[^\w.-]/g, '_').replace(/^\./, '_')
  return plain.slice(0, MAX_DATABASE_CHARS) || 'database'
}

export function formatDatedName({ database, timeMs, position }: DatedName): string {
  const [time] = new Date(timeMs).toISOString().split('.')
  const { epoch, txid } = position
  return `${database}/${database}-${time.replaceAll(':', '')}Z-${epoch}-${txid}.db.gz`
}

/** Undefined for any other file. */
export function parseDatedName(name: string): DatedName | undefined {
  const [, database, day, hours, minutes, seconds, epoch, txid] = FORM.exec(name) ?? []
  if (database === undefined) return undefined
  const timeMs = Date.parse(`${day}${hours}:${minutes}:${seconds}Z`)
  if (Number.isNaN(timeMs)) return undefined
  return { database, timeMs, position: { epoch: Number(epoch), txid: Number(txid) } }
}

/** Sorts the newest first. */
function byPosition(a: DatedName, b: DatedName): number {
  const epochs = b.position.epoch - a.position.epoch
  return epochs || b.position.txid - a.position.txid || b.timeMs - a.timeMs
}

function byTime(a: DatedName, b: DatedName): number {
  return b.timeMs - a.timeMs || byPosition(a, b)
}

/**
 * The newest one, of whatever history of the database: one that began anew has lower positions.
 * Times of a clock that was ahead count only where there are no others.
 */
export function newestOf<T extends DatedName>(found: readonly T[], nowMs: number): T | undefined {
  const [newest] = past(found, nowMs).toSorted(byTime)
  return newest ?? found.toSorted(byPosition)[0]
}

/**
 * The ones that go: neither among the newest that the policy counts nor in one of its windows; and
 * the oldest, while all together are larger than it allows. The one of the name `made` counts as
 * the newest, and stays.
 *
 * The newest are so many in the order of positions, which a clock that is wrong does not change,
 * and so many in the order of times, which has those of a history that began anew. Both are the
 * same otherwise.
 */
export function notKept(
  found: readonly DatedSnapshot[],
  policy: KeepPolicy,
  nowMs: number,
  made?: string,
): readonly DatedSnapshot[] {
  const isMade = ({ name }: DatedSnapshot) => Number(name === made)
  const orders = [found.toSorted(byPosition), past(found, nowMs).toSorted(byTime)].map((order) =>
    order.toSorted((a, b) => isMade(b) - isMade(a)),
  )
  const kept = new Set<DatedSnapshot>()
  for (const newestFirst of orders) {
    for (const snapshot of newestFirst.slice(0, Math.max(1, policy.snapshots))) kept.add(snapshot)
    for (const window of policy.windows)
      for (const snapshot of inWindow(newestFirst, window, nowMs)) kept.add(snapshot)
  }
  const newestFirst = merged(orders)
  let bytes = 0
  for (const [i, snapshot] of newestFirst.entries()) {
    if (kept.has(snapshot)) bytes += snapshot.bytes
    if (i > 0 && bytes > (policy.maxBytes ?? Number.POSITIVE_INFINITY)) kept.delete(snapshot)
  }
  return newestFirst.filter((snapshot) => !kept.has(snapshot))
}

function past<T extends DatedName>(found: readonly T[], nowMs: number): T[] {
  return found.filter(({ timeMs }) => timeMs <= nowMs)
}

/** The first of each order, then the second, and so on; each once. */
function merged<T>(orders: readonly (readonly T[])[]): T[] {
  const longest = Math.max(...orders.map((order) => order.length))
  const all = new Set<T>()
  for (let i = 0; i < longest; i++)
    for (const order of orders) for (const each of order.slice(i, i + 1)) all.add(each)
  return [...all]
}

/** All, or the last one of each period. */
function inWindow(
  newestFirst: readonly DatedSnapshot[],
  { grain, ageMs }: KeepWindow,
  nowMs: number,
): DatedSnapshot[] {
  const young = newestFirst.filter(({ timeMs }) => nowMs - timeMs <= ageMs)
  if (grain === 'all') return young
  const last = new Map<number, DatedSnapshot>()
  for (const snapshot of young) {
    const period = periodStart(PERIOD_OF[grain], snapshot.timeMs)
    if (!last.has(period)) last.set(period, snapshot)
  }
  return [...last.values()]
}
