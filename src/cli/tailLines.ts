/**
 * Which commits of a WAL make which positions of a node, and how `walcast tail` shows them. Pure.
 *
 * A leader gives each commit a txid of its own; a replica may apply several as one commit. What
 * cannot be told for certain is left out.
 */
import { formatPosition } from '../../proto/position.ts'
import { momentText } from '../backup/moment.ts'
import { sizeText } from '../health/causeText.ts'
import type { FollowedCommit } from '../sqlite/commitFollower.ts'
import { shown } from './queryCommand.ts'

/** What a node says of itself. */
export interface Standing {
  readonly role: string
  readonly epoch: number
  readonly txid: number
  /** How much of the WAL is in the position. */
  readonly walBytes: number
  readonly pages: number
  readonly pageSize: number
}

/** Pages that are told of at a position, or at several. */
export interface TailedCommit {
  /** Undefined where no node tells. */
  readonly epoch?: number
  readonly firstTxid?: number
  readonly txid?: number
  /** Of the database after it. */
  readonly databasePages: number
  readonly pageSize: number
  /** Undefined where it cannot be told. */
  readonly changed: readonly number[] | undefined
}

/** More commits at once are told in one line. */
const MAX_SINGLE = 50

export class TailedPositions {
  #last: Standing | undefined
  #waiting: FollowedCommit[] = []
  #isBroken = false

  /** Commits that were read from the WAL. `isBroken`: others before them may have been missed. */
  add(commits: readonly FollowedCommit[], isBroken: boolean): void {
    this.#waiting.push(...commits)
    this.#isBroken ||= isBroken
  }

  /** What came since the last time; `now` was asked before the commits were read. */
  reach(now: Standing): TailedCommit[] {
    const before = this.#last
    this.#last = now
    const own = this.#take(now)
    const isBroken = this.#isBroken
    this.#isBroken = false
    if (!before || now.txid <= before.txid) return []
    const count = now.txid - before.txid
    const { epoch, pages: databasePages, pageSize } = now
    const isExact = !isBroken && own.length === count
    if (isExact && count <= MAX_SINGLE)
      return own.map(({ changed, pages }, i) => {
        const txid = before.txid + 1 + i
        return { epoch, firstTxid: txid, txid, databasePages: pages, pageSize, changed }
      })
    const isWhole = isExact || (now.role !== 'leader' && !isBroken && own.length > 0)
    const changed = isWhole ? [...new Set(own.flatMap((commit) => commit.changed))] : undefined
    const firstTxid = before.txid + 1
    return [{ epoch, firstTxid, txid: now.txid, databasePages, pageSize, changed }]
  }

  /** All that was read, when no node tells positions. */
  takeAll(pageSize: number): TailedCommit[] {
    const own = this.#waiting
    this.#waiting = []
    return own.map(({ changed, pages }) => ({ databasePages: pages, pageSize, changed }))
  }

  /** Those of the WAL up to the position. A WAL starts over only when all of it was captured. */
  #take({ walBytes }: Standing): FollowedCommit[] {
    const newest = this.#waiting.at(-1)?.generation
    const isAfter = (commit: FollowedCommit) =>
      commit.generation === newest && commit.walBytes > walBytes
    const end = this.#waiting.findIndex(isAfter)
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end)
  }
}

export type Tables = ReadonlyMap<string, number> | undefined

export function tailText(commit: TailedCommit, tables: Tables, atMs: number): string {
  const { changed, pageSize } = commit
  const count = changed?.length
  return `${[
    momentText(atMs),
    (positionOf(commit) ?? 'commit').padStart(8),
    (count === undefined ? '? pages' : `${count} page${count === 1 ? '' : 's'}`).padStart(11),
    (count === undefined ? '' : sizeText(count * pageSize)).padStart(10),
    sorted(tables)
      .map(([name, pages]) => `${shown(name)} ${pages}`)
      .join(', '),
  ]
    .join('  ')
    .trimEnd()}\n`
}

export function tailJson(commit: TailedCommit, tables: Tables, atMs: number): object {
  const { epoch, firstTxid, txid, databasePages, pageSize, changed } = commit
  return {
    type: 'position',
    time: new Date(atMs).toISOString(),
    ...(txid === undefined ? {} : { position: positionOf({ ...commit, firstTxid: txid }) }),
    ...{ epoch, firstTxid, txid, databasePages },
    ...(changed && { pages: changed.length, bytes: changed.length * pageSize }),
    ...(tables && { tables: sorted(tables).map(([table, pages]) => ({ table, pages })) }),
  }
}

function positionOf({ epoch, firstTxid, txid }: TailedCommit): string | undefined {
  if (epoch === undefined || txid === undefined || firstTxid === undefined) return undefined
  const last = formatPosition({ epoch, txid })
  return firstTxid === txid ? last : `${formatPosition({ epoch, txid: firstTxid })}..${txid}`
}

/** The table with the most pages first. */
function sorted(tables: Tables): [string, number][] {
  return [...(tables ?? [])].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
}
