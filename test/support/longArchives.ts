/** Archives of many positions of a real database, which grow as the test says. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type ArchivedPlace,
  type ArchiveName,
  formatArchiveName,
} from '../../proto/archiveNames.ts'
import { ArchiveFile } from '../../src/backup/archiveFile.ts'
import type { Sealing } from '../../src/backup/archiveFiles.ts'
import { restore } from '../../src/backup/restore.ts'
import { planRestore } from '../../src/backup/restorePlan.ts'
import { storedFiles } from '../../src/backup/storedFiles.ts'
import type { Store } from '../../src/backup/stores/store.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import type { BackupIdentity } from '../../src/security/backupKeys.ts'
import { changed, fileOf, pagesOf, type State, statesOf } from './archives.ts'

/** Commits that grow, shrink and reshape a database, drawn with `next` (from 0 to below 1). */
export function randomSteps(count: number, next: () => number): string[] {
  const few = () => Math.floor(next() * 20)
  const kinds = [
    () => `INSERT INTO a (b) SELECT randomblob(${few() * 40}) FROM generate LIMIT ${1 + few()}`,
    () => `UPDATE a SET b = randomblob(${few() * 20}) WHERE id % 17 = ${few()}`,
    () => `UPDATE a SET b = randomblob(30) WHERE id % 13 = ${few()}`,
    () => `DELETE FROM a WHERE id % 5 = ${few() % 5}`,
    () => 'VACUUM',
    () => `CREATE INDEX IF NOT EXISTS by_b ON a (b)`,
    () => 'DROP INDEX IF EXISTS by_b',
    () => `CREATE TABLE IF NOT EXISTS t${few() % 4} (c)`,
    () => `DROP TABLE IF EXISTS t${few() % 4}`,
    () => `INSERT INTO a (b) VALUES (zeroblob(${few() * 800}))`,
  ]
  const first = 'CREATE TABLE a (id INTEGER PRIMARY KEY, b); INSERT INTO a (b) VALUES (1)'
  const drawn = Array.from({ length: count - 1 }, () => kinds[Math.floor(next() * kinds.length)]())
  return [first, ...drawn]
}

export interface Moment extends State {
  readonly incarnation: string
  readonly timeMs: number
  /** 1 unless told otherwise. */
  readonly epoch?: number
}

/** Moments of a new database at `path`. `about` gives the time and incarnation of each. */
export function momentsOf(
  path: string,
  pageSize: number,
  steps: readonly string[],
  about: (i: number) => Pick<Moment, 'incarnation' | 'timeMs' | 'epoch'>,
): Moment[] {
  return statesOf(path, pageSize, steps).map((state, i) => ({ ...state, ...about(i) }))
}

/** Moments of another history, which goes on from `before` as a new leader does. */
export function branchOf(
  path: string,
  before: Moment,
  pageSize: number,
  steps: readonly string[],
  about: (i: number) => Pick<Moment, 'incarnation' | 'timeMs' | 'epoch'>,
): Moment[] {
  writeFileSync(path, before.bytes)
  return momentsOf(path, pageSize, steps, about).map((moment, i) => ({
    ...moment,
    txid: before.txid + 1 + i,
  }))
}

const ALONE = { part: 1, isLast: true }

export async function putSnapshot(
  store: Store,
  moment: Moment,
  pageSize: number,
  sealing: Partial<Sealing> = {},
): Promise<void> {
  const bytes = await fileOf(pageSize, {
    ...sealing,
    about: {
      kind: 'snapshot',
      ...{ incarnation: moment.incarnation, epoch: moment.epoch ?? 1 },
      ...{ fromIncarnation: '', fromEpoch: 0, createdMs: moment.timeMs },
    },
    points: [[moment, pagesOf(moment.bytes, pageSize)]],
  })
  const { incarnation, txid } = moment
  await put(store, { kind: 'snapshot', incarnation, txid, ...ALONE }, bytes)
}

/**
 * One file of level 0 with `moments` but the first, which is where it begins. `parts`: the images
 * of the last moment go over as many files.
 */
export async function putChanges(
  store: Store,
  moments: readonly Moment[],
  pageSize: number,
  parts = 1,
  sealing: Partial<Sealing> = {},
): Promise<void> {
  const [before, last] = [moments[0], moments[moments.length - 1]]
  const points = moments
    .slice(1)
    .map((moment, i) => [moment, changed(moments[i], moment, pageSize)] as const)
  const images = points[points.length - 1][1]
  for (let part = 1; part <= parts; part++) {
    const isLast = part === parts
    const from = part === 1 ? before : moments[moments.length - 2]
    const some = images.filter((_, i) => i % parts === part - 1)
    const open = { ...last, checksum: isLast ? last.checksum : '0'.repeat(16) }
    const bytes = await fileOf(pageSize, {
      ...sealing,
      about: {
        ...{ incarnation: last.incarnation, epoch: last.epoch ?? 1 },
        ...{ fromIncarnation: from.incarnation, fromEpoch: from.epoch ?? 1 },
        fromTxid: from.txid,
        fromChecksum: from.checksum,
        createdMs: last.timeMs,
      },
      points: [...(part === 1 ? points.slice(0, -1) : []), [open, some]],
      continues: part > 1,
      isOpen: !isLast,
    })
    const place = ({ incarnation, txid }: ArchivedPlace) => ({ incarnation, txid })
    const ends = { from: place(before), to: place(last) }
    await put(store, { kind: 'changes', level: 0, ...ends, part, isLast }, bytes)
  }
}

async function put(store: Store, name: ArchiveName, bytes: Buffer): Promise<void> {
  await store.create(formatArchiveName(name), (append) => append(bytes))
}

/** Restores a position, and gives its checksum; undefined when no file has it. */
export async function checksumAt(
  store: Store,
  place: ArchivedPlace,
  folder: string,
  identities: readonly BackupIdentity[] = [],
): Promise<string | undefined> {
  const plan = planRestore(await storedFiles(store), place)
  if (!plan) return undefined
  const closes: (() => Promise<void>)[] = []
  const path = join(folder, 'restored.db')
  try {
    const { checksum } = await restore(
      path,
      [...plan.snapshot, ...plan.changes].map(({ name, upTo }) => async () => {
        const source = await store.open(formatArchiveName(name))
        closes.push(() => source.close())
        const file = await ArchiveFile.open(source, identities)
        return upTo === undefined ? file : file.upTo(upTo)
      }),
      place,
      systemFileOps,
    )
    return checksum
  } finally {
    for (const close of closes) await close()
    rmSync(path, { force: true })
  }
}
