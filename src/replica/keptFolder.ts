/**
 * What a node had to give up: `FILE-walcast/diverged/`, one folder each, written whole and synced before it has its name.
 *
 *   NAME.partial/   being written; begun anew after a crash
 *   NAME/database.db   the database as it stood, any SQLite opens it
 *   NAME/about.json    when, where it stood, why
 *   NAME/pages.txt     the pages that the leader had otherwise, a line `N` or `N-M` each: their images are in database.db
 *   NAME/rows.jsonl    the rows that differ, as `walcast diff --json` tells them: before is kept, after is the leader's
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs'
import type { Logger } from 'pino'
import { keyOf, messageOf, WalcastError } from '../errors.ts'
import { type FileOps, makeFolder, syncFolder } from '../fileOps.ts'

export interface KeptRows {
  readonly removed: number
  readonly changed: number
  readonly added: number
}

export interface KeptDivergence {
  readonly format: 1
  /** ISO time. */
  readonly at: string
  readonly node: string
  readonly epoch: number
  readonly txid: number
  /** State checksum of what is kept, 16 hex digits. */
  readonly checksum: string
  readonly pageSize: number
  readonly pages: number
  /** Id of the leader that has something else. */
  readonly leader: string
  readonly reason: string
  /** `kept`: the rows are still to be compared. */
  readonly state: 'kept' | 'compared' | 'not compared'
  readonly rows?: KeptRows
  /** False when rows.jsonl does not tell all that differs: tables that cannot be compared, other schemas, or too many rows. */
  readonly isComplete?: boolean
  /** Why the rows could not be compared. */
  readonly detail?: string
}

/** When and where. */
export type KeptAt = Pick<KeptDivergence, 'at' | 'epoch' | 'txid'>

export interface Kept {
  readonly name: string
  readonly about: KeptDivergence
}

/** Room that must be left on the disk beside a copy. */
const SPARE_BYTES = 64 * 1024 * 1024
const PARTIAL = '.partial'

export class KeptFolder {
  readonly path: string
  readonly #ops: FileOps
  readonly #limit: number
  #kept: readonly Kept[]

  /** What a crash left unfinished is removed: the database that it was of is still as it was. */
  constructor(stateFolder: string, ops: FileOps, limit: number, log: Logger) {
    this.path = `${stateFolder}/diverged`
    this.#ops = ops
    this.#limit = limit
    this.#kept = existsSync(this.path) ? readAll(this.path, log) : []
  }

  /** The oldest first; as they were at the last look, or the last change of ours. */
  get kept(): readonly Kept[] {
    return this.#kept
  }

  /** Forgets those whose folder somebody has taken away. */
  look(): void {
    this.#kept = this.#kept.filter(({ name }) => existsSync(`${this.path}/${name}`))
  }

  file(kept: Pick<Kept, 'name'>, name: string): string {
    return `${this.path}/${kept.name}/${name}`
  }

  /** Throws DIVERGED_UNKEPT when there is no place for one more of `bytes` bytes. */
  requireRoom(bytes: number): void {
    this.look()
    makeFolder(this.path)
    const folders = readdirSync(this.path).length
    if (folders >= this.#limit)
      throw this.#unkept(`${folders} are kept already, as many as --max-diverged allows`)
    const { bavail, bsize } = statfsSync(this.path)
    if (bavail * bsize < bytes + SPARE_BYTES)
      throw this.#unkept(`it has ${bytes} bytes, the disk has ${bavail * bsize} left`)
  }

  /** Makes one more: `write` fills the folder with all but `about.json`, and tells what goes in there. Durable when it resolves. Throws DIVERGED_UNKEPT or STOPPING. */
  async add(at: KeptAt, write: (folder: string) => Promise<KeptDivergence>): Promise<Kept> {
    const name = this.#newName(at)
    const partial = `${this.path}/${name}${PARTIAL}`
    try {
      rmSync(partial, { recursive: true, force: true })
      mkdirSync(partial, { mode: 0o700 })
      const about = await write(partial)
      await this.#ops.replace(`${partial}/about.json`, `${JSON.stringify(about, null, 2)}\n`)
      syncFolder(partial)
      this.#ops.rename('kept.rename', partial, `${this.path}/${name}`)
      const kept = { name, about }
      this.#kept = [...this.#kept, kept]
      return kept
    } catch (error) {
      rmSync(partial, { recursive: true, force: true })
      if (keyOf(error) === 'STOPPING') throw error
      throw this.#unkept(messageOf(error), error)
    }
  }

  /** Throws DISK_FULL or WRITE_FAILED, also when the folder is gone. */
  async update({ name }: Pick<Kept, 'name'>, change: Partial<KeptDivergence>): Promise<void> {
    const known = this.#kept.find((each) => each.name === name)
    if (!known) return
    const about = { ...known.about, ...change }
    await this.#ops.replace(this.file(known, 'about.json'), `${JSON.stringify(about, null, 2)}\n`)
    this.#kept = this.#kept.map((each) => (each === known ? { name, about } : each))
  }

  remove({ name }: Pick<Kept, 'name'>): void {
    rmSync(`${this.path}/${name}`, { recursive: true, force: true })
    this.#kept = this.#kept.filter((each) => each.name !== name)
  }

  #newName({ at, epoch, txid }: KeptAt): string {
    const stem = `${at.replaceAll(/[-:]|\.\d+/g, '')}-${epoch}-${txid}`
    for (let i = 1; ; i++) {
      const name = i === 1 ? stem : `${stem}-${i}`
      if (!existsSync(`${this.path}/${name}`)) return name
    }
  }

  #unkept(detail: string, cause?: unknown): WalcastError {
    return new WalcastError('DIVERGED_UNKEPT', { path: this.path, detail }, cause)
  }
}

function readAll(folder: string, log: Logger): Kept[] {
  const names = readdirSync(folder).sort()
  for (const name of names)
    if (name.endsWith(PARTIAL)) rmSync(`${folder}/${name}`, { recursive: true, force: true })
  return names.flatMap((name) => {
    const about = readAbout(`${folder}/${name}/about.json`, log)
    return about ? [{ name, about }] : []
  })
}

/** Undefined for a folder that is none of ours, or damaged: it stays, takes up one of the places, and is left out. */
function readAbout(path: string, log: Logger): KeptDivergence | undefined {
  if (!existsSync(path)) return undefined
  try {
    const about: KeptDivergence = Object(JSON.parse(readFileSync(path, 'utf8')))
    if (about.format === 1 && typeof about.checksum === 'string') return about
    log.warn({ path }, 'this is no description of what was kept aside: left out of the status')
  } catch (error) {
    log.warn(
      { path, error: messageOf(error) },
      'what was kept aside there cannot be told: left out of the status',
    )
  }
  return undefined
}
