/**
 * The folder `FILE-walcast/diverged/` of what a node had to give up, one bundle each. Before the
 * resync publishes its state, a bundle NAME has:
 *
 *   about.json   when, where the copy stood, why
 *   pages.txt    pages in ascending order, a line `N` or `N-M` for each run. A line ends with
 *                ` unchanged` when the leader has the same pages, or has freed them. The rows need
 *                these pages: overflow pages, the schema, pages with deleted rows
 *   pages.bin    the images of these pages as the copy had them, in the order of pages.txt
 *   trees.txt    the pages among them that hold rows, a line `PAGE ROOT` each. ROOT is the root
 *                page of the table, 1 for the schema. A third field `I,J` lists rows, by their
 *                place on the page from 0, that the leader has as they are. They are left out:
 *                they would need overflow pages that are not kept
 *
 * While these are being written, the bundle is named NAME.partial; a crash makes it start again. It
 * has that name too while it is removed. The next start removes what a crash left under it.
 * Afterwards `keptRowsProgram.ts` decodes the rows and adds:
 *
 *   database.db  the schema of the copy, and those rows of these pages that the leader lacks or
 *                that differ there. Any SQLite opens it. Tables named `sqlite_...` are empty
 *   rows.jsonl   these rows in the format of `walcast diff --json`: before is the kept row, after
 *                is the leader's
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
  /** Always 0: the comparison does not look for rows that only the leader has. */
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
  /** Id of the leader whose state differs. */
  readonly leader: string
  readonly reason: string
  /** The copy was damaged, so its rows may be nothing but damage. */
  readonly isDamaged?: boolean
  /** `kept`: the rows are not compared yet. */
  readonly state: 'kept' | 'compared' | 'not compared'
  readonly rows?: KeptRows
  /**
   * False when rows.jsonl lacks some differences: damaged pages, tables that cannot be compared,
   * differing schemas, or too many rows.
   */
  readonly isComplete?: boolean
  /** Why the rows could not be compared. */
  readonly detail?: string
}

/** When the bundle was made, and at which position. */
export type KeptAt = Pick<KeptDivergence, 'at' | 'epoch' | 'txid'>

export interface Kept {
  readonly name: string
  readonly about: KeptDivergence
}

/** Files that a complete list of rows makes superfluous. */
const IMAGES = ['pages.bin', 'pages.txt', 'trees.txt']
const PARTIAL = '.partial'

/** The bundles of a node, as who looks at them has them. */
export interface KeptBundles {
  /** Of the folder with all of them. */
  readonly path: string
  /** The oldest first; as of the last `look`, or the last change by this process. */
  readonly kept: readonly Kept[]
  /** Forgets bundles whose folders are gone. */
  look(): void
  /** Of a bundle's files, 0 when it is gone. */
  bytes(kept: Pick<Kept, 'name'>): number
  /** Whether its rows are being compared now. */
  isComparing(name: string): boolean
  /** Throws WRITE_FAILED. A crash leaves the whole bundle, or none after the next start. */
  remove(kept: Pick<Kept, 'name'>): void
}

export class KeptFolder implements KeptBundles {
  readonly path: string
  readonly #ops: FileOps
  #kept: readonly Kept[]

  /** Removes bundles that a crash left unfinished. Their databases are unchanged. */
  constructor(stateFolder: string, ops: FileOps, log: Logger) {
    this.path = `${stateFolder}/diverged`
    this.#ops = ops
    this.#kept = existsSync(this.path) ? readAll(this.path, log) : []
    for (const kept of this.#kept) this.#removeImages(kept)
  }

  /** The oldest first; as of the last `look`, or the last change by this process. */
  get kept(): readonly Kept[] {
    return this.#kept
  }

  /** Forgets bundles whose folders are gone. */
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
   * Makes a new bundle. `write` fills the folder with everything but `about.json`, whose content it
   * returns. Durable when it resolves. Throws STOPPING, or DIVERGED_UNKEPT with the failure as its
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

  /** Changes `about.json`. Throws DISK_FULL or WRITE_FAILED, also when the folder is gone. */
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

  /** A folder has no comparison of its own. */
  isComparing(): boolean {
    return false
  }

  remove({ name }: Pick<Kept, 'name'>): void {
    const folder = `${this.path}/${name}`
    // Without its name it is gone whole, whatever of it is left after a crash.
    if (existsSync(folder)) {
      this.#ops.rename('kept.unname', folder, `${folder}${PARTIAL}`)
      this.#ops.erase('kept.erase', `${folder}${PARTIAL}`)
    }
    this.#kept = this.#kept.filter((each) => each.name !== name)
  }

  /** Makes the folder's own name durable before that of the first bundle. */
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

  /** A routine bundle whose list is complete needs no page images. */
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

/** Undefined for a foreign or damaged folder, which stays and is left out. */
function readAbout(path: string, log: Logger): KeptDivergence | undefined {
  if (!existsSync(path)) return undefined
  try {
    const about: KeptDivergence = Object(JSON.parse(readFileSync(path, 'utf8')))
    if (about.format === 1 && typeof about.checksum === 'string')
      return { ...about, kind: about.kind === 'routine' ? 'routine' : 'diverged' }
    log.warn({ path }, 'not the description of a bundle kept aside; leaving it out of the status')
  } catch (error) {
    log.warn(
      { path, error: messageOf(error) },
      'cannot read the description of a bundle kept aside; leaving it out of the status',
    )
  }
  return undefined
}
