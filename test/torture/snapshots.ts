/**
 * Copies of a node's files as operators make them: by `cp` while everything runs, by SQLite's
 * backup API, or of a node that is stopped, by `cp`, by `mv` or by a hard link. A copy may be torn;
 * whoever wants to use it looks first.
 */
import { copyFileSync, cpSync, existsSync, linkSync, lstatSync, rmSync, statSync } from 'node:fs'
import { contentOfFiles } from '../support/content.ts'
import type { Lab } from '../support/lab.ts'
import { pick, type Random } from './random.ts'

/** Where a history stood. A history is a number that grows with each put-back. */
export interface Moment {
  readonly history: number
  readonly txid: number
}

export interface Snapshot {
  /** How it was made. */
  readonly name: string
  /** Path of the database; what belongs to it lies beside it. */
  readonly db: string
  /** It holds what was committed up to here. */
  readonly from: Moment
  /** It holds nothing that was committed after this. */
  readonly to: Moment
}

/** Commits that a leader may not have numbered yet when it tells where it is. */
const UNNUMBERED = 50
const MAX_SNAPSHOTS = 5
const FOLDER_TRIES = 10

export class Snapshots {
  readonly #lab: Lab
  readonly #random: Random
  readonly #stem: string
  readonly #total: number
  #list: Snapshot[] = []
  #count = 0

  /** `total`: what all balances add up to in a sound copy. */
  constructor(lab: Lab, random: Random, stem: string, total: number) {
    this.#lab = lab
    this.#random = random
    this.#stem = stem
    this.#total = total
  }

  /** While the node and the programs run. `now` tells where the node stands. */
  async takeRunning(db: string, now: () => Promise<Moment>): Promise<void> {
    const name = pick(this.#random, ['copied while it ran', 'copied while it ran', 'backup API'])
    const to = this.#newPath()
    const from = await now()
    const isFolderFirst = this.#random() < 0.5
    if (isFolderFirst) copyFolder(db, to)
    if (name === 'backup API') await restore(this.#lab, this.#random, db, to)
    else copyDatabase(db, to, this.#random() < 0.3 ? ['', '-wal', '-shm'] : ['', '-wal'])
    if (!isFolderFirst) copyFolder(db, to)
    const { history, txid } = await now()
    this.#add({ name, db: to, from, to: { history, txid: txid + UNNUMBERED } })
  }

  /** Of a node that is stopped. `needed` is not thrown away for it. */
  takeStopped(db: string, from: Moment, needed: Snapshot): void {
    const name = pick(this.#random, ['copied', 'linked'])
    const to = this.#newPath()
    if (name === 'copied') copyDatabase(db, to)
    else {
      linkSync(db, to)
      copyDatabase(db, to, ['-wal'])
    }
    copyFolder(db, to)
    const end = { history: from.history, txid: Number.MAX_SAFE_INTEGER }
    this.#add({ name, db: to, from, to: end }, needed)
  }

  /**
   * One whose database is sound and is not the very file at `db`; undefined when there is none.
   * Those that are torn go.
   */
  async pick(db: string): Promise<Snapshot | undefined> {
    for (;;) {
      const fit = this.#list.filter((each) => !isSameFile(each.db, db))
      if (fit.length === 0) return undefined
      const snapshot = pick(this.#random, fit)
      const { problem } = await contentOfFiles(this.#lab, snapshot.db, this.#total)
      if (problem === '') return snapshot
      this.#remove(snapshot)
    }
  }

  #newPath(): string {
    return this.#lab.path(`${this.#stem}-snapshot${++this.#count}.db`)
  }

  #add(snapshot: Snapshot, needed?: Snapshot): void {
    const others = this.#list.filter((each) => each !== needed)
    this.#list.push(snapshot)
    if (this.#list.length > MAX_SNAPSHOTS) this.#remove(pick(this.#random, others))
  }

  #remove(snapshot: Snapshot): void {
    this.#list = this.#list.filter((each) => each !== snapshot)
    removeDatabase(snapshot.db)
    removeFolder(snapshot.db)
  }
}

/**
 * By SQLite's own backup API, through which it gets into a database that is there as a transaction.
 */
export async function restore(lab: Lab, random: Random, from: string, to: string): Promise<void> {
  const options = { from, to }
  const child = random() < 0.5 ? lab.python('restore', options) : lab.program('restore', options)
  child.expectEnd()
  await child.line((line) => line.includes('done'), 0, 60_000)
  await child.ended
}

/** Those of the files that are there, each over what is at the new place. */
export function copyDatabase(
  from: string,
  to: string,
  suffixes: readonly string[] = ['', '-wal'],
): void {
  for (const suffix of suffixes)
    if (existsSync(`${from}${suffix}`)) copyFileSync(`${from}${suffix}`, `${to}${suffix}`)
}

/** The node's folder, in the place of what is there. Its files come and go while the node runs. */
export function copyFolder(from: string, to: string): void {
  for (let tries = 1; ; tries++) {
    removeFolder(to)
    try {
      return cpSync(`${from}-walcast`, `${to}-walcast`, { recursive: true, filter: isCopied })
    } catch (error) {
      if (tries === FOLDER_TRIES) throw error
    }
  }
}

export function removeDatabase(db: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${db}${suffix}`, { force: true })
}

export function removeFolder(db: string): void {
  rmSync(`${db}-walcast`, { recursive: true, force: true })
}

function isCopied(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false })
  return found !== undefined && (found.isFile() || found.isDirectory())
}

function isSameFile(a: string, b: string): boolean {
  return existsSync(a) && existsSync(b) && statSync(a).ino === statSync(b).ino
}
