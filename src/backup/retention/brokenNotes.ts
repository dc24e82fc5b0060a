/**
 * Notes of files that were found broken, in objects `broken/1-ID.json` of the place: a node that
 * starts anew, and cannot read what it encrypted before, still knows where its archive is broken.
 *
 * The name of a note says which file it means, so that a note whose bytes are damaged counts too.
 * Whatever notes say, they only make walcast keep more: see `notedRetention.ts`.
 */
import { parseArchiveName } from '../../../proto/archiveNames.ts'
import { WalcastError } from '../../errors.ts'
import { isNodeId } from '../../nodeId.ts'
import { checksumHex, xxh64 } from '../../xxh64.ts'
import { pieceName } from '../restorePlan.ts'
import type { Store } from '../stores/store.ts'
import { readNote, writeNote } from './noteObject.ts'

/** Of one place. What is found past it is remembered by the process that found it. */
export const MAX_BROKEN_NOTES = 1000
const MAX_BYTES = 4096
const FOLDER = 'broken'
/** Objects of another version have another number, and mean nothing here. */
const OBJECT = /^broken\/1-([0-9a-f]{16})\.json$/
/** What a date can hold. */
const MAX_MS = 8.64e15
const CODE = /^[A-Z_]{1,40}$/

export interface BrokenFile {
  /** The name that all parts of the file share. */
  readonly file: string
  /** The error that it gave, without the prefix of all codes. */
  readonly code: string
  /** ms since 1970, in the clock of who found it. */
  readonly foundMs: number
  /** Id of the node that found it; '' for a command. */
  readonly by: string
}

/** `about`: undefined when the note cannot be read, or is not what its checksum says. */
export interface BrokenNote {
  readonly id: string
  readonly about: BrokenFile | undefined
}

/** Which note is that of a file. */
export function noteIdOf(file: string): string {
  return checksumHex(xxh64(Buffer.from(file), 0n))
}

/**
 * Writes the note of a file. One that is there already stays as it is. False when the place has
 * `MAX_BROKEN_NOTES` of others.
 */
export async function noteBroken(store: Store, broken: BrokenFile): Promise<boolean> {
  const ids = await brokenIds(store)
  const id = noteIdOf(broken.file)
  if (ids.has(id)) return true
  if (ids.size >= MAX_BROKEN_NOTES) return false
  const { file, code, foundMs, by } = broken
  await writeNote(store, objectOf(id), { file, code, foundMs, by, sum: sumOf(broken) })
  return true
}

/** Which notes there are. Nothing of them is read. */
export async function brokenIds(store: Store): Promise<ReadonlySet<string>> {
  const listed = await store.list(FOLDER)
  return new Set(listed.flatMap(({ name }) => OBJECT.exec(name)?.[1] ?? []))
}

/** What the notes say, for people: at most `MAX_BROKEN_NOTES` of them. */
export async function brokenNotes(store: Store): Promise<readonly BrokenNote[]> {
  const ids = [...(await brokenIds(store))].sort().slice(0, MAX_BROKEN_NOTES)
  const notes: BrokenNote[] = []
  for (const id of ids) notes.push({ id, about: await aboutOf(store, id) })
  return notes
}

/** Removes those of the notes that are there. */
export async function forgetBroken(store: Store, ids: readonly string[]): Promise<void> {
  const there = ids.length > 0 ? await brokenIds(store) : new Set<string>()
  for (const id of ids) if (there.has(id)) await store.remove(objectOf(id))
}

async function aboutOf(store: Store, id: string): Promise<BrokenFile | undefined> {
  try {
    const note = await readNote(store, objectOf(id), MAX_BYTES)
    return note && brokenIn(note, id)
  } catch (error) {
    if (error instanceof WalcastError && error.key === 'ARCHIVE_BROKEN') return undefined
    throw error
  }
}

function brokenIn(note: Readonly<Record<string, unknown>>, id: string): BrokenFile | undefined {
  const { file, code, foundMs, by, sum } = note
  if (typeof file !== 'string' || typeof code !== 'string' || typeof by !== 'string')
    return undefined
  if (typeof foundMs !== 'number' || !(Math.abs(foundMs) <= MAX_MS)) return undefined
  const parsed = parseArchiveName(file)
  const isNamed = parsed !== undefined && pieceName(parsed) === file && noteIdOf(file) === id
  const broken = { file, code, foundMs, by }
  const isPlain = CODE.test(code) && (by === '' || isNodeId(by))
  return isNamed && isPlain && sumOf(broken) === sum ? broken : undefined
}

function sumOf({ file, code, foundMs, by }: BrokenFile): string {
  return checksumHex(xxh64(Buffer.from([file, code, foundMs, by].join('\n')), 0n))
}

function objectOf(id: string): string {
  return `${FOLDER}/1-${id}.json`
}
