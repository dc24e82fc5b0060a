/** What a place of an archive holds, for people: levels, snapshots, named positions and pins. */
import { isThinned } from '../../../proto/archiveNames.ts'
import { MAX_SHOWN, type PastContents } from '../../api/past.ts'
import { Archive } from '../archive.ts'
import { summaryOf } from '../archiveSummary.ts'
import type { BadPieces } from '../historyPositions.ts'
import { piecesOf, type StoredFile } from '../restorePlan.ts'
import { clusterArchive, headOfEnvelope } from '../restoreTarget.ts'
import { namedPoints } from '../retention/namedPoints.ts'
import { pinnedUntil } from '../retention/pins.ts'
import type { Store } from '../stores/store.ts'
import { positionOf } from './askedPast.ts'
import type { PastPlace } from './pastOrder.ts'

type Level = PastContents['levels'][number]

/** Files that cannot be read, or are encrypted, are counted like the others. */
export async function contentsOf(
  { place, cluster }: PastPlace,
  store: Store,
): Promise<PastContents> {
  const bad: BadPieces = new Map()
  const own = await clusterArchive(await Archive.list(store), cluster, bad, headOfEnvelope)
  const { files, bytes, histories } = await summaryOf(own, bad)
  const sizes = snapshotSizes(own.archive.files)
  const snapshots = histories
    .flatMap((history) => history.snapshots)
    .toSorted((a, b) => b.timeMs - a.timeMs)
  const points = await namedPoints(store, () => {})
  const pins = (await store.list('pins'))
    .map(({ name }) => pinnedUntil(name))
    .filter((untilMs) => Number.isFinite(untilMs))
    .toSorted((a, b) => b - a)
  return {
    place,
    files,
    bytes,
    levels: levelsOf(own.archive.files),
    snapshots: snapshots.slice(0, MAX_SHOWN).map((at) => ({
      ...positionOf(at),
      bytes: sizes.get(`${at.txid} ${at.incarnation}`) ?? 0,
    })),
    snapshotCount: snapshots.length,
    points: points.slice(0, MAX_SHOWN).map(({ name, txid, incarnation, namedMs }) => ({
      ...{ name, txid, incarnation },
      since: iso(namedMs),
    })),
    pointCount: points.length,
    pins: pins.slice(0, MAX_SHOWN).map((untilMs) => ({ until: iso(untilMs) })),
    pinCount: pins.length,
  }
}

/** By txid and incarnation. */
function snapshotSizes(files: readonly StoredFile[]): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>()
  for (const { name, bytes } of piecesOf(files))
    if (name.kind === 'snapshot') sizes.set(`${name.txid} ${name.incarnation}`, bytes)
  return sizes
}

export function levelsOf(files: readonly StoredFile[]): Level[] {
  const levels = new Map<number, Level>()
  for (const { name, bytes } of files) {
    if (name.kind !== 'changes') continue
    const { level } = name
    const before = levels.get(level) ?? { level, files: 0, bytes: 0, isThinned: isThinned(name) }
    levels.set(level, { ...before, files: before.files + 1, bytes: before.bytes + bytes })
  }
  return [...levels.values()].toSorted((a, b) => a.level - b.level)
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString()
}
