/** Replaces the files of a stopped node by a snapshot, in the ways in which operators do it. */
import { copyFileSync, linkSync, renameSync, rmSync } from 'node:fs'
import type { Lab } from '../support/lab.ts'
import { pick, type Random } from './random.ts'
import { copyDatabase, copyFolder, removeDatabase, restore, type Snapshot } from './snapshots.ts'

export interface Placed {
  readonly told: string
  /** The snapshot that the database is from; undefined when it stayed. */
  readonly database: Snapshot | undefined
}

/**
 * Which parts of a node's state are replaced. `mixed`: the database of one snapshot, the folder of
 * another.
 */
const WHAT = [
  'database',
  'database',
  'database',
  'folder',
  'both',
  'both',
  'both',
  'both',
  'mixed',
] as const
const HOW = ['cp', 'rename', 'link', 'backup API'] as const

/** Nothing has the database open. `other` gives a second snapshot. */
export async function place(
  lab: Lab,
  random: Random,
  db: string,
  snapshot: Snapshot,
  other: () => Promise<Snapshot | undefined>,
): Promise<Placed> {
  const what = pick(random, WHAT)
  const folder = what === 'mixed' ? ((await other()) ?? snapshot) : snapshot
  if (what !== 'database') copyFolder(folder.db, db)
  if (what === 'folder') return { told: `the folder (${folder.name})`, database: undefined }
  const how = pick(random, HOW)
  await placeDatabase(lab, random, snapshot.db, db, how)
  return { told: `${what} (${snapshot.name}) by ${how}`, database: snapshot }
}

async function placeDatabase(
  lab: Lab,
  random: Random,
  from: string,
  db: string,
  how: (typeof HOW)[number],
): Promise<void> {
  if (how === 'backup API') {
    // Opening the snapshot would change it.
    const copy = `${from}-restored`
    copyDatabase(from, copy)
    await restore(lab, random, copy, db)
    return removeDatabase(copy)
  }
  for (const suffix of ['-wal', '-shm']) rmSync(`${db}${suffix}`, { force: true })
  if (how === 'cp') copyFileSync(from, db)
  else if (how === 'link') {
    rmSync(db, { force: true })
    linkSync(from, db)
  } else {
    copyFileSync(from, `${db}.new`)
    renameSync(`${db}.new`, db)
  }
  copyDatabase(from, db, ['-wal'])
}
