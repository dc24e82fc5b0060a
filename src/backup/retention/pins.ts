/**
 * Pins hold the files that a restore reads against removal. An object of a store never changes, so
 * a pin is renewed by a new one with a later expiry, after which the old one is removed.
 *
 * A restore writes its pin and then looks for announced removals; who removes announces it and then
 * looks for pins. So at least one of them sees the other: the restore takes another way where there
 * is one, and what is pinned is not removed.
 */
import { type ArchivedPlace, formatArchiveName } from '../../../proto/archiveNames.ts'
import { WalcastError } from '../../errors.ts'
import type { Clock } from '../../platform/clock.ts'
import { randomBytes } from '../../platform/random.ts'
import { storedFiles } from '../datedPieces.ts'
import { planRestore, type RestorePlan, type StoredFile } from '../restorePlan.ts'
import type { Store } from '../stores/store.ts'
import { namesIn, readNote, writeNote } from './noteObject.ts'
import { DAY_MS, HOUR_MS } from './periods.ts'
import { announcedRemovals } from './removals.ts'

export const PIN_LIFE_MS = HOUR_MS
/** How often a reader renews its pin: before a third of its life has passed. */
export const PIN_RENEWAL_MS = PIN_LIFE_MS / 3
/** A pin whose reader died holds its files as much longer: two clocks may differ by that. */
const PIN_SLACK_MS = DAY_MS
const MAX_PLANS = 3
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

export interface PinnedPlan {
  readonly plan: RestorePlan
  readonly pin: Pin
}

/** Pins what a plan reads. */
export function pin(store: Store, plan: RestorePlan, clock: Clock): Promise<Pin> {
  return Pin.of(store, [...plan.snapshot, ...plan.changes], clock)
}

/**
 * Plans a restore of `target`, and pins its files once they are known to stay. Throws ARCHIVE_GAP
 * when no files lead there.
 */
export async function planPinned(
  store: Store,
  target: ArchivedPlace,
  clock: Clock,
): Promise<PinnedPlan> {
  for (let tries = 1; ; tries++) {
    const going = await announcedRemovals(store)
    const plan = planAmong(await storedFiles(store), target, going)
    const held = await pin(store, plan, clock)
    const isSound = await stays(store, plan, going)
    if (isSound) return { plan, pin: held }
    await held.release()
    if (tries === MAX_PLANS)
      throw new WalcastError('ARCHIVE_GAP', {
        name: `txid ${target.txid}`,
        detail: 'its files are being removed',
      })
  }
}

/** What was announced by a process that died may be all that there is. */
function planAmong(
  files: readonly StoredFile[],
  target: ArchivedPlace,
  going: ReadonlySet<string>,
): RestorePlan {
  const staying = files.filter(({ name }) => !going.has(formatArchiveName(name)))
  const plan = planRestore(staying, target) ?? planRestore(files, target)
  if (plan) return plan
  throw new WalcastError('ARCHIVE_GAP', { name: `txid ${target.txid}`, detail: 'no file has it' })
}

/** Whether all files are there after the pin, and no removal was announced between. */
async function stays(
  store: Store,
  { snapshot, changes }: RestorePlan,
  known: ReadonlySet<string>,
): Promise<boolean> {
  const going = await announcedRemovals(store)
  const there = new Set((await storedFiles(store)).map(({ name }) => formatArchiveName(name)))
  return [...snapshot, ...changes].every(({ name }) => {
    const key = formatArchiveName(name)
    return there.has(key) && (known.has(key) || !going.has(key))
  })
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
