/**
 * Holds the files of a restore against removal while they are read: a pin, renewed while the
 * restore lasts. A store that nothing can be written to is read all the same, without a pin; what
 * is removed meanwhile is then missed, and another way is looked for.
 */
import { formatArchiveName } from '../../proto/archiveNames.ts'
import { asWalcastError, type WalcastError } from '../errors.ts'
import { cancelTimer, setRepeatingTimer, type Timer, wallMs } from '../platform/time.ts'
import type { StoredFile } from './restorePlan.ts'
import { PIN_RENEWAL_MS, Pin } from './retention/pins.ts'
import { announcedRemovals } from './retention/removals.ts'
import type { Store } from './stores/store.ts'

export class HeldFiles {
  readonly #store: Store
  readonly #onUnheld: (error: WalcastError) => void
  #pin: Pin | undefined
  #timer: Timer | undefined
  #renewing: Promise<void> = Promise.resolve()
  #hasTold = false

  /** `onUnheld` hears once why files are not held. */
  constructor(store: Store, onUnheld: (error: WalcastError) => void) {
    this.#store = store
    this.#onUnheld = onUnheld
  }

  /**
   * Holds `files` in place of those before. Gives the names of those among them that a process has
   * announced to remove: it may not have seen the pin.
   */
  async hold(files: readonly StoredFile[]): Promise<ReadonlySet<string>> {
    await this.release()
    try {
      this.#pin = await Pin.of(this.#store, files, { nowMs: wallMs })
      this.#timer = setRepeatingTimer(() => this.#renew(), PIN_RENEWAL_MS).unref()
      const going = await announcedRemovals(this.#store)
      const names = files.map(({ name }) => formatArchiveName(name))
      return new Set(names.filter((name) => going.has(name)))
    } catch (error) {
      this.#tell(error)
      return new Set()
    }
  }

  /** Nothing when nothing is held. A pin that stays all the same expires. */
  async release(): Promise<void> {
    cancelTimer(this.#timer)
    await this.#renewing
    const pin = this.#pin
    this.#pin = undefined
    await pin?.release().catch(() => {})
  }

  #renew(): void {
    this.#renewing = this.#renewing
      .then(() => this.#pin?.renew())
      .catch((error) => this.#tell(error))
  }

  #tell(error: unknown): void {
    if (!this.#hasTold) this.#onUnheld(asWalcastError(error))
    this.#hasTold = true
  }
}
