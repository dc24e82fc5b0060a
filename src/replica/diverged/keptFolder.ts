/**
 * What a node had to give up: `FILE-walcast/diverged/`, one bundle each. Before the resync
 * publishes, a bundle has:
 *
 *   NAME.partial/      being written; begun anew after a crash. It has its name when all of it is durable.
 *   NAME/about.json    when, where the copy stood, why
 *   NAME/pages.txt     pages in ascending order, a line `N` or `N-M` for each run. ` unchanged` behind it: the leader has them as they
 *                      are, or has freed them; the rows need them (overflow pages, the schema, rows that were deleted)
 *   NAME/pages.bin     their images as the copy had them, one behind the other in the order of pages.txt
 *   NAME/trees.txt     the pages among these that hold rows, a line `PAGE ROOT` each: the root page of the table, 1 for the schema.
 *                      ` I,J` behind it: rows, by their place on the page from 0, that the leader has just so and that were left out,
 *                      since overflow pages would have to be kept for them
 *
 * Afterwards `keptRowsProgram.ts` decodes these rows and adds:
 *
 *   NAME/database.db   the schema of the copy, and of the rows on these pages those that the leader has not or has otherwise. Any
 *                      SQLite opens it. Tables named `sqlite_...` are empty.
 *   NAME/rows.jsonl    these rows, as `walcast diff --json` tells them: before is kept, after is the leader's
 *
 * A routine bundle whose list is complete loses its page images then. A bundle without `kind` is of
 * an earlier version: its database.db is the whole copy, and it has no page images.
 */
import { dirname } from 'node:path'
import type { Logger } from 'pino'
import { keyOf, messageOf, WalcastError, writeError } from '../../errors.ts'
import { type FileOps, makeFolder, syncFolder } from '../../platform/fileOps.ts'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from '../../platform/files.ts'
import type { KeptKind } from './keptBounds.ts'

export interface KeptRows {
  readonly removed: number
  readonly changed: number
  /** Always 0: rows that only the leader has are not looked for. */
  readonly added: number
}

export interface KeptDivergence {
  readonly format: 1
  readonly kind: KeptKind
  /** ISO time. */
  readonly at: string
  readonly node: string
  readonly epoch: number
  readonly txid: number
  /** State checksum of the copy as it stood, 16 hex digits. */
  readonly checksum: string
  readonly pageSize: number
  readonly pages: number
  /** Id of the leader that has something else. */
  readonly leader: string
  readonly reason: string
  /** The copy was damaged: its rows may be what the damage left. */
  readonly isDamaged?: boolean
  /** `kept`: the rows are still to be compared. */
  readonly state: 'kept' | 'compared' | 'not compared'
  readonly rows?: KeptRows
  /**
   * False when rows.jsonl does not tell all that differs: damaged pages, tables that cannot be
   * compared, other schemas, or too many rows.
   */
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

/** What is no longer needed once the rows say all. */
const IMAGES = ['pages.bin', 'pages.txt', 'trees.txt']
const PARTIAL = '.partial'

export class KeptFolder {
  readonly path: string
  readonly #ops: FileOps
  #kept: readonly Kept[]

  /** What a crash left unfinished is removed: the database that it was of is still as it was. */
  constructor(stateFolder: string, ops: FileOps, log: Logger) {
    this.path = `${stateFolder}/diverged`
    this.#ops = ops
    this.#kept = existsSync(this.path) ? readAll(this.path, log) : []
    for (const kept of this.#kept) this.#removeImages(kept)
  }

  /** The oldest first; as they were at the last look, or the last change of ours. */
  get kept(): readonly Kept[] {
    return this.#kept
  }

  /** Forgets those whose folder somebody has taken away. */
  look(): void {
    this.#kept = this.#kept.filter(({ name }) => existsSync(`${this.path}/${name}`))
  }

  /** Bytes of a bundle's files, 0 when it is gone. */
  bytes({ name }: Pick<Kept, 'name'>): number {
    const folder = `${this.path}/${name}`
    if (!existsSync(folder)) return 0
    return readdirSync(folder)
      .map((file) => statSync(`${folder}/${file}`, { throwIfNoEntry: false })?.size ?? 0)
      .reduce((sum, bytes) => sum + bytes, 0)
  }

  /**
   * Makes one more: `write` fills the folder with all but `about.json`, and tells what goes in
   * there. Durable when it resolves. Throws STOPPING, or DIVERGED_UNKEPT with the failure as its
   * cause.
   */
  async add(at: KeptAt, write: (folder: string) => Promise<KeptDivergence>): Promise<Kept> {
    const name = this.#newName(at)
    const partial = `${this.path}/${name}${PARTIAL}`
    try {
      this.#make()
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
      const failure = writeError(partial, error)
      throw new WalcastError(
        'DIVERGED_UNKEPT',
        { path: this.path, detail: failure.message },
        failure,
      )
    }
  }

  /** Throws DISK_FULL or WRITE_FAILED, also when the folder is gone. */
  async update({ name }: Pick<Kept, 'name'>, change: Partial<KeptDivergence>): Promise<void> {
    const known = this.#kept.find((each) => each.name === name)
    if (!known) return
    const about = { ...known.about, ...change }
    await this.#ops.replace(
      `${this.path}/${name}/about.json`,
      `${JSON.stringify(about, null, 2)}\n`,
    )
    const changed = { name, about }
    this.#kept = this.#kept.map((each) => (each === known ? changed : each))
    this.#removeImages(changed)
  }

  remove({ name }: Pick<Kept, 'name'>): void {
    rmSync(`${this.path}/${name}`, { recursive: true, force: true })
    this.#kept = this.#kept.filter((each) => each.name !== name)
  }

  /** Its own name is durable before the first bundle's. */
  #make(): void {
    if (existsSync(this.path)) return
    makeFolder(this.path)
    syncFolder(dirname(this.path))
  }

  #newName({ at, epoch, txid }: KeptAt): string {
    const stem = `${at.replaceAll(/[-:]|\.\d+/g, '')}-${epoch}-${txid}`
    for (let i = 1; ; i++) {
      const name = i === 1 ? stem : `${stem}-${i}`
      if (!existsSync(`${this.path}/${name}`)) return name
    }
  }

  /** The rows say all of a routine bundle whose list is complete. */
  #removeImages({ name, about: { kind, state, isComplete } }: Kept): void {
    if (kind !== 'routine' || state !== 'compared' || !isComplete) return
    for (const file of IMAGES) rmSync(`${this.path}/${name}/${file}`, { force: true })
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

/** Undefined for a folder that is none of ours, or damaged: it stays, and is left out. */
function readAbout(path: string, log: Logger): KeptDivergence | undefined {
  if (!existsSync(path)) return undefined
  try {
    const about: KeptDivergence = Object(JSON.parse(readFileSync(path, 'utf8')))
    if (about.format === 1 && typeof about.checksum === 'string')
      return { ...about, kind: about.kind === 'routine' ? 'routine' : 'diverged' }
    log.warn({ path }, 'this is no description of what was kept aside: left out of the status')
  } catch (error) {
    log.warn(
      { path, error: messageOf(error) },
      'what was kept aside there cannot be told: left out of the status',
    )
  }
  return undefined
}
