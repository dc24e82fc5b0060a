/**
 * A way whose files have the positions at which it leaves them. Names tell only where a file begins
 * and ends: a batch may go over the position that is looked for.
 */
import type { ArchivedPlace } from '../../proto/archiveNames.ts'
import { claimKey, type PlannedFile, pieceName, type RestorePlan } from './restorePlan.ts'

/** Whether a file has all of the position `txid`. */
export type HasPosition = (file: PlannedFile, txid: number) => Promise<boolean>

/**
 * The files of the best plan that holds, up to the one that has `target`. What is found to be wrong
 * is added to `without`, with which `plan` is asked again.
 */
export async function provenWay(
  plan: (without: ReadonlySet<string>) => RestorePlan | undefined,
  target: ArchivedPlace,
  without: Set<string>,
  has: HasPosition,
): Promise<PlannedFile[] | undefined> {
  for (;;) {
    const found = plan(without)
    if (!found) return undefined
    const way = await wayIn([...found.snapshot, ...found.changes], target.txid, has)
    if (typeof way !== 'string') return way
    without.add(way)
  }
}

/** The claim that does not hold, in place of the files. */
async function wayIn(
  files: readonly PlannedFile[],
  target: number,
  has: HasPosition,
): Promise<PlannedFile[] | string> {
  const way: PlannedFile[] = []
  const pieces = byPiece(files)
  for (const [i, parts] of pieces.entries()) {
    const [{ name, upTo = i === pieces.length - 1 ? target : undefined }] = parts
    const last = upTo === undefined ? parts.length : await partWith(parts, upTo, has)
    if (upTo !== undefined && last === 0) return claimKey(name, upTo)
    way.push(...parts.slice(0, last))
  }
  return way
}

/** How many parts it takes to have all of the position; 0 when none has it. */
async function partWith(
  parts: readonly PlannedFile[],
  txid: number,
  has: HasPosition,
): Promise<number> {
  for (const [i, part] of parts.entries()) if (await has(part, txid)) return i + 1
  return 0
}

function byPiece(files: readonly PlannedFile[]): PlannedFile[][] {
  const groups: PlannedFile[][] = []
  let last: string | undefined
  for (const file of files) {
    const name = pieceName(file.name)
    if (name === last) groups[groups.length - 1].push(file)
    else groups.push([file])
    last = name
  }
  return groups
}
