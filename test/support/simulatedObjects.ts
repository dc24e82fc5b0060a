/**
 * An object store in simulated time, as leases see it: it keeps what S3 promises, and its requests
 * meet what happens on the way to it. A write may be carried out long after its sender gave it up.
 */
import { monotonicMs, setTimer } from '../../src/platform/time.ts'
import {
  away,
  type Condition,
  type ElectionObjects,
  type StoredText,
  type UntilMs,
} from '../../src/roles/election/s3/electionObjects.ts'
import type { ListedNote } from '../../src/roles/election/s3/noteList.ts'
import { NOBODY, type Scheduler } from '../simulation/scheduler.ts'

/**
 * `late`: done after it was given up. `lost answer`: done, and nothing comes. `lost`: not done, and
 * nothing comes. `failed`: an answer that says nothing. `thawed`: the answer comes long after its
 * limit, since the process that waited was frozen.
 */
export type Fate = 'done' | 'late' | 'lost answer' | 'lost' | 'failed' | 'thawed'

export interface StoreWeather {
  /** From 0 to below 1. */
  readonly random: () => number
  fateOf: (isWrite: boolean) => Fate
  /** How late `late` and `thawed` are at most, ms. */
  readonly lateMs: number
}

const LEG_MS = 40
const SLOW_LEG_MS = 600

interface Stored extends StoredText {
  readonly writtenMs: number
}

/** What all clients share. */
export class SimulatedStore {
  readonly objects = new Map<string, Stored>()
  /** `PUT lead` */
  readonly log: string[] = []
  /** Writes that were carried out after they were given up, and changed something. */
  lateWrites = 0
  #etags = 0

  write(name: string, text: string, condition: Condition, nowMs: number): string | undefined {
    const before = this.objects.get(name)?.etag
    if (condition === 'new' && before !== undefined) return undefined
    if (typeof condition === 'object' && before !== condition.etag) return undefined
    const etag = `"${++this.#etags}"`
    this.objects.set(name, { text, etag, writtenMs: nowMs })
    return etag
  }
}

/** Of one node. Its answers come in events of the machine that asked. */
export class SimulatedObjects implements ElectionObjects {
  readonly name = 's3://simulated'
  readonly #store: SimulatedStore
  readonly #scheduler: Scheduler
  readonly #weather: StoreWeather

  constructor(store: SimulatedStore, scheduler: Scheduler, weather: StoreWeather) {
    this.#store = store
    this.#scheduler = scheduler
    this.#weather = weather
  }

  read(name: string, _maxBytes: number, until: UntilMs): Promise<StoredText | undefined> {
    return this.#request(`GET ${name}`, until, () => this.#store.objects.get(name))
  }

  write(
    name: string,
    text: string,
    condition: Condition,
    until: UntilMs,
  ): Promise<string | undefined> {
    const { elapsedMs } = this.#scheduler
    return this.#request(`PUT ${name}`, until, () =>
      this.#store.write(name, text, condition, elapsedMs),
    )
  }

  async remove(name: string, until: UntilMs): Promise<void> {
    await this.#request(`DELETE ${name}`, until, () => this.#store.objects.delete(name))
  }

  list(prefix: string, until: UntilMs): Promise<readonly ListedNote[]> {
    const listed = () =>
      [...this.#store.objects]
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, { text, writtenMs }]) => ({
          ...{ name, bytes: text.length, ageMs: this.#scheduler.elapsedMs - writtenMs },
        }))
    return this.#request(`LIST ${prefix}`, until, listed)
  }

  async close(): Promise<void> {}

  #request<T>(line: string, until: UntilMs, act: () => T): Promise<T> {
    this.#store.log.push(line)
    const isWrite = line.startsWith('PUT')
    // A probe ends with the first request that fails.
    const fate = line.includes(' probe/') ? 'done' : this.#weather.fateOf(isWrite)
    const owner = this.#scheduler.owner
    return new Promise((resolve, reject) => {
      if (fate !== 'thawed')
        setTimer(() => reject(away(this.name, 'no answer in time')), until - monotonicMs())
      if (fate === 'lost') return
      const lateMs = this.#weather.random() * this.#weather.lateMs
      const wayMs = this.#legMs() + (fate === 'late' ? lateMs : 0)
      this.#scheduler.after(
        wayMs,
        () => {
          const result = act()
          if (fate === 'late' && result !== undefined) this.#store.lateWrites++
          if (fate === 'late' || fate === 'lost answer') return
          const failed = fate === 'failed'
          const answer = () => (failed ? reject(away(this.name, '500')) : resolve(result))
          const backMs = this.#legMs() + (fate === 'thawed' ? lateMs : 0)
          this.#scheduler.after(backMs, answer, owner)
        },
        NOBODY,
      )
    })
  }

  #legMs(): number {
    const { random } = this.#weather
    return random() * (random() < 0.1 ? SLOW_LEG_MS : LEG_MS)
  }
}
