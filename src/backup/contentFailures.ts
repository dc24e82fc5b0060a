/**
 * Failures that come from what a file of an archive holds: one list, and what each part of the
 * program adds to it, with the reason.
 */
import { type ArchiveName, parseArchiveName } from '../../proto/archiveNames.ts'
import { type ErrorCode, keyOf, type WalcastError } from '../errors.ts'
import { pieceName } from './restorePlan.ts'

/** What was found, as an error says it. */
export interface Finding {
  readonly key: string
  readonly message: string
}

const NAME = /(?:snapshots|changes)\/[\w./-]+\.wca/

/** The file holds something else than it should, whoever reads it. */
const SPOILT: readonly ErrorCode[] = ['ARCHIVE_BROKEN', 'ARCHIVE_GAP', 'ARCHIVE_MISMATCH']

/** Also one that a newer walcast made: only that one can build on it. */
const OF_CONTENT: readonly ErrorCode[] = [...SPOILT, 'ARCHIVE_NEWER']

/** Also one that this process has no identity for: it is sound all the same. */
const LASTING: readonly ErrorCode[] = [...OF_CONTENT, 'ARCHIVE_LOCKED']

/** Also what a drill finds of a whole archive. One of a newer walcast is sound and stays. */
const HELPED: readonly ErrorCode[] = [...SPOILT, 'DRILL_MISMATCH']

/**
 * Also one that is gone or locked: a restore finds another way. It finds none around a file of a
 * newer walcast, since a way that this one understands may be a wrong one.
 */
const OF_ONE_FILE: readonly ErrorCode[] = [...SPOILT, 'ARCHIVE_LOCKED', 'ARCHIVE_MISSING']

/** Whether a file is not what it should be to this process: nothing may be built on it. */
export function isOfContent(error: unknown): boolean {
  return isOne(OF_CONTENT, keyOf(error))
}

/** Whether this process would fail in the same way again. */
export function isLasting(error: unknown): boolean {
  return isOne(LASTING, keyOf(error))
}

/** Whether a new snapshot helps: a restore does without the file then. `key`: of an error. */
export function isHelpedBySnapshot(key: string): boolean {
  return isOne(HELPED, key)
}

/** Whether an error is of one file of an archive, so that others may do without it. */
export function isOfOneFile(error: unknown): error is WalcastError {
  return isOne(OF_ONE_FILE, keyOf(error))
}

/** The file that an error names; undefined when it names none. */
export function unsoundFile({ message }: Finding): ArchiveName | undefined {
  const [name] = NAME.exec(message) ?? []
  return name === undefined ? undefined : parseArchiveName(name)
}

/** The file of which `found` is to be noted in the place; undefined when it names none. */
export function lastingFile(found: Finding): string | undefined {
  const name = isOne(SPOILT, found.key) ? unsoundFile(found) : undefined
  return name && pieceName(name)
}

function isOne(keys: readonly ErrorCode[], key: string | undefined): boolean {
  return keys.some((each) => each === key)
}
