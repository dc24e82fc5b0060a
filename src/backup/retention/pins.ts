/**
 * Pins hold the files that a restore reads against removal. An object of a store never changes, so
 * a pin is renewed by a new one with a later expiry, after which the old one is removed.
 *
 * A restore writes its pin and then looks for announced removals; who removes announces it and then
 * looks for pins. So at least one of them sees the other: the restore takes another way where there
 * is one, and what is pinned is not removed.
 */
import { formatArchiveName, parseArchiveName } from '../../../proto/archiveNames.ts'
import type { Clock } from '../../platform/clock.ts'
import { randomBytes } from '../../platform/random.ts'
import type { StoredFile } from '../restorePlan.ts'
import type { Store } from '../stores/store.ts'
import { namesIn, readNote, writeNote } from './noteObject.ts'
import { DAY_MS, HOUR_MS } from './periods.ts'

export const PIN_LIFE_MS = HOUR_MS
/** How often a reader renews its pin: before a third of its life has passed. */
export const PIN_RENEWAL_MS = PIN_LIFE_MS / 3
/** A pin whose reader died holds its files as much longer: two clocks may differ by that. */
const PIN_SLACK_MS = DAY_MS
/** When it expires, ms since 1970, and whose it is. */
const NAME = /^pins\/(\d{15})-([0-9a-f]{16})\.json$/

/** Held by a reader, who renews it and releases it at the end. */
export class Pin {
  readonly #store: Store
  readonly #files: readonly string[]
  readonly #clock: Clock
  readonly #id = randomBytes(8).toString('hex')
  #name = ''

  private constructor(store: Store, files: readonly string[], clock: Clock) {
    this.#store = store
    this.#files = files
    this.#clock = clock
  }

  /** Throws what the store throws. */
  static async of(store: Store, files: readonly StoredFile[], clock: Clock): Promise<Pin> {
    const pin = new Pin(
      store,
      files.map(({ name }) => formatArchiveName(name)),
      clock,
    )
    await pin.renew()
    return pin
  }

  /** Holds the files for another `PIN_LIFE_MS`. */
  async renew(): Promise<void> {
    const untilMs = Math.round(this.#clock.nowMs() + PIN_LIFE_MS)
    const name = `pins/${String(untilMs).padStart(15, '0')}-${this.#id}.json`
    if (name === this.#name) return
    await writeNote(this.#store, name, { files: this.#files })
    const before = this.#name
    this.#name = name
    if (before !== '') await this.#store.remove(before)
  }

  async release(): Promise<void> {
    await this.#store.remove(this.#name)
  }
}

/** Whether `note` is a pin of this name that a reader may set at `nowMs`: none for a long time. */
export function isPin(name: string, note: object, nowMs: number): boolean {
  const [, until] = NAME.exec(name) ?? []
  const { files } = note as Readonly<Record<string, unknown>>
  const isShort = Math.abs(Number(until) - nowMs) <= PIN_LIFE_MS + PIN_SLACK_MS
  const isOfFiles = Array.isArray(files) && files.every((file) => isArchiveFile(file))
  return until !== undefined && isShort && isOfFiles && Object.keys(note).length === 1
}

/** When a pin of this name ends, ms since 1970; NaN for any other name. */
export function pinnedUntil(name: string): number {
  return Number(NAME.exec(name)?.[1])
}

function isArchiveFile(name: unknown): boolean {
  return typeof name === 'string' && parseArchiveName(name) !== undefined
}

/**
 * Names of all files that are pinned at `nowMs`. Pins that expired more than a day ago are removed.
 * A pin that cannot be read stops whoever wants to remove: throws ARCHIVE_BROKEN.
 */
export async function pinnedFiles(store: Store, nowMs: number): Promise<ReadonlySet<string>> {
  const pinned = new Set<string>()
  for (const { name } of await store.list('pins')) {
    const [, until] = NAME.exec(name) ?? []
    if (until !== undefined && Number(until) + PIN_SLACK_MS < nowMs) await store.remove(name)
    else for (const file of namesIn((await readNote(store, name)) ?? {})) pinned.add(file)
  }
  return pinned
}
