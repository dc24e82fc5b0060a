/** Arguments of the commands that look into an archive. */
import { MOMENT_FORMS, type Moment, momentText, parseMoment } from '../backup/moment.ts'
import { nameOf, PastArchive } from '../backup/past/pastArchive.ts'
import type { PastPosition } from '../backup/past/pastPages.ts'
import { openStore } from '../backup/stores/openStore.ts'
import { WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { systemFileOps } from '../platform/fileOps.ts'
import { wallMs } from '../platform/time.ts'

const MAX_SHOWN_CHARS = 100
const AGO = /^-(\d[\d.a-z]*[a-z])$/i

export const PLACE_HELP = `\
PLACE is the folder of an archive. A TIME is an ISO time, with or without zone (local): 2026-11-30,
2026-11-30T14:00, "2026-11-30 14:00:05+01:00"; or -6h, -2d12h, "6h ago". It means the last position
at or before it, in the clock of the leader. A POSITION is an epoch and a txid such as 3-120, or a
txid alone. newest is the last one in the archive.`

/** `-6h` is no flag: it becomes `6h ago`. */
export function withAgo(args: readonly string[]): string[] {
  return args.map((arg) => {
    const ago = AGO.exec(arg)?.[1]
    return ago === undefined ? arg : `${ago} ago`
  })
}

/** `name`: of the argument. Throws USAGE. */
export function momentOf(name: string, text: string | undefined): Moment {
  if (text === undefined) throw usage(`${name} is missing: ${MOMENT_FORMS}`)
  const moment = parseMoment(text, wallMs())
  if (!moment)
    throw usage(`${name} wants ${MOMENT_FORMS}; not "${plainText(text, MAX_SHOWN_CHARS)}"`)
  return moment
}

/** Runs with the archive at `place`. Throws USAGE when none was given. */
export async function withArchive<T>(
  flag: string,
  place: string | undefined,
  run: (archive: PastArchive) => Promise<T>,
): Promise<T> {
  if (place === undefined || place === '') throw usage(`${flag} PLACE is missing`)
  const archive = await PastArchive.open(await openStore(place, systemFileOps))
  try {
    return await run(archive)
  } finally {
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

export function usage(detail: string): WalcastError {
  return new WalcastError('USAGE', { detail })
}
