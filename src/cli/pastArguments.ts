/** Arguments of the commands that look into an archive. */
import {
  MOMENT_FORMS,
  type Moment,
  momentText,
  parseNamedMoment,
  parseTime,
  TIME_FORMS,
} from '../backup/moment.ts'
import { nameOf, PastArchive } from '../backup/past/pastArchive.ts'
import type { PastPosition } from '../backup/past/pastPages.ts'
import type { WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { wallMs } from '../platform/time.ts'
import { archivePlace, type GivenArchive } from './archivePlace.ts'
import { ProgressOutput } from './progressOutput.ts'
import { ReadProgress } from './readProgress.ts'
import { usage } from './usage.ts'

const MAX_SHOWN_CHARS = 100

export const PLACE_HELP = `\
PLACE is a folder, s3://BUCKET/PREFIX?region=REGION (docs/backup/s3.md), or a node that archives:
its URL, HOST:PORT or id, or the database file of a node on this machine.

A TIME is an ISO time, with or without zone (local): 2026-11-30, 2026-11-30T14:00,
"2026-11-30 14:00:05+01:00"; or -6h, -2d12h, "6h ago". It means the last position at or before it,
in the clock of the leader. A POSITION is an epoch and a txid such as 3-120, or a txid alone. newest
is the last one in the archive. The name that "walcast backups name" gave a position stands for it;
write point:NAME for one that begins with a digit or reads as something else.`

/** `name`: of the argument. Throws USAGE. */
export function momentOf(name: string, text: string | undefined): Moment {
  if (text === undefined) throw usage(`${name} is missing: ${MOMENT_FORMS}`)
  const moment = parseNamedMoment(text, wallMs())
  if (!moment) throw unlike(name, MOMENT_FORMS, text)
  return moment
}

/** A time alone, in ms since 1970. Throws USAGE. */
export function timeOf(name: string, text: string): number {
  const atMs = parseTime(text, wallMs())
  if (atMs === undefined) throw unlike(name, TIME_FORMS, text)
  return atMs
}

function unlike(name: string, wanted: string, text: string): WalcastError {
  return usage(`${name} wants ${wanted}; not "${plainText(text, MAX_SHOWN_CHARS)}"`)
}

/**
 * Runs with the archive that was given. The progress tells what is read of it until `run` ends that
 * or begins another phase. Throws USAGE when no archive was given.
 */
export async function withArchive<T>(
  given: GivenArchive,
  isJson: boolean,
  run: (archive: PastArchive, reading: ReadProgress) => Promise<T>,
): Promise<T> {
  const { store, identities } = await archivePlace(given)
  const reading = new ReadProgress(new ProgressOutput(isJson))
  const archive = await PastArchive.open(store, identities, reading.add)
  reading.begin('reading the archive')
  try {
    return await run(archive, reading)
  } finally {
    reading.end()
    await archive.close()
  }
}

/** A whole number above 0; undefined when none was given. Throws USAGE. */
export function countOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw usage(`${flag} wants a whole number above 0, not "${plainText(text, MAX_SHOWN_CHARS)}"`)
  return Number(text)
}

/** `3-120 of 2026-11-30 14:00:00.123 +01:00` */
export function positionText(position: PastPosition): string {
  return `${nameOf(position)} of ${momentText(position.timeMs)}`
}
