/**
 * Two past states as two files that can be compared row by row: the rows on the pages that changed
 * between them, or, where these cannot be told, both states whole.
 */

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemFileOps } from '../../platform/fileOps.ts'
import { mkdtempSync, rmSync } from '../../platform/files.ts'
import type { Moment } from '../moment.ts'
import { restore } from '../restore.ts'
import { bytesOf } from '../restorePlan.ts'
import { makeChangedRows } from './changedRows.ts'
import type { FoundPosition, PastArchive } from './pastArchive.ts'

export interface RowPair {
  readonly before: string
  readonly after: string
  /** Whether the files hold both states whole. */
  readonly isWhole: boolean
}

export interface PairPlace {
  readonly folder: string
  /** Of the files there. */
  readonly name: string
  readonly onWhole?: OnWhole | undefined
}

/** Runs with a folder of its own, private to this user, which is removed afterwards. */
export async function inTemporaryFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-past-'))
  try {
    return await run(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Hears that states are restored whole, and how many bytes that reads. */
export type OnWhole = (bytes: number) => void

/** `before` is the earlier one. */
export async function makeRowPair(
  archive: PastArchive,
  before: FoundPosition,
  after: FoundPosition,
  { folder, name, onWhole = () => {} }: PairPlace,
): Promise<RowPair> {
  const pair = {
    before: join(folder, `${name}-before.db`),
    after: join(folder, `${name}-after.db`),
  }
  if (await onChangedPages(archive, before, after, pair)) return { ...pair, isWhole: false }
  const ways = [await archive.way(before), await archive.way(after)]
  onWhole(bytesOf(ways.flat()))
  for (const [i, [path, found]] of [
    [pair.before, before] as const,
    [pair.after, after] as const,
  ].entries()) {
    rmSync(path, { force: true })
    await restore(path, archive.opensOf(ways[i]), found.position, systemFileOps)
  }
  return { ...pair, isWhole: true }
}

async function onChangedPages(
  archive: PastArchive,
  before: FoundPosition,
  after: FoundPosition,
  paths: Pick<RowPair, 'before' | 'after'>,
): Promise<boolean> {
  const changed = await archive.changedBetween(before, after)
  if (!changed) return false
  const earlier = await archive.pages(before)
  const later = await archive.pages(after)
  changed.addRange(later.pages + 1, earlier.pages)
  return (
    (await makeChangedRows(paths.before, earlier, changed)) &&
    (await makeChangedRows(paths.after, later, changed))
  )
}

/** Runs with files of two past states, which differ in the rows in which the states differ. */
export function withPastPair<T>(
  archive: PastArchive,
  before: Moment,
  after: Moment,
  run: (paths: readonly [string, string]) => Promise<T>,
  onWhole?: OnWhole,
): Promise<T> {
  return inTemporaryFolder(async (folder) => {
    const [from, to] = [await archive.find(before), await archive.find(after)]
    // The changes between them are the same in both directions.
    const isForward = from.position.txid <= to.position.txid
    const [earlier, later] = isForward ? [from, to] : [to, from]
    const pair = await makeRowPair(archive, earlier, later, { folder, name: 'past', onWhole })
    return run(isForward ? [pair.before, pair.after] : [pair.after, pair.before])
  })
}
