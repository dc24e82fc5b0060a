/**
 * Notes of candidates, an object for each node. A note ends by itself when it was not written for
 * some time, by the store's clock (`noteList.ts`): readers leave it out then. Its life is longer
 * than the TTL, since each write costs a request, and the money for it; what a note decides is only
 * which of the candidates goes first.
 */
import { monotonicMs } from '../../../platform/time.ts'
import { MAX_CANDIDATE_NOTES, MAX_ELECTION_BYTES } from '../leaseService.ts'
import type { ElectionObjects, UntilMs } from './electionObjects.ts'
import type { ListedNote } from './noteList.ts'

const FOLDER = 'notes/'
/** Of a node's note; `.` and `..` would be a way upwards in a URL. */
const NAME = /^notes\/(?!\.{1,2}$)[\w.-]{1,128}$/
const LIFE_TTLS = 3
const MIN_LIFE_MS = 30_000
/** It is written anew after this part of its life. */
const KEPT_PART = 1 / 3

export class ObjectNotes {
  readonly #objects: ElectionObjects
  readonly #name: string
  readonly #lifeMs: number
  /** Of this node, and when it was written last; undefined: not, as far as is known. */
  #own: { readonly note: string; readonly writtenMs: number | undefined } | undefined

  constructor(objects: ElectionObjects, node: string, ttlMs: number) {
    this.#objects = objects
    this.#name = `${FOLDER}${node}`
    this.#lifeMs = Math.max(MIN_LIFE_MS, LIFE_TTLS * ttlMs)
  }

  /** A note that is there already is only kept. */
  async publish(note: string, until: UntilMs): Promise<void> {
    if (this.#own?.note !== note) this.#own = { note, writtenMs: undefined }
    await this.keep(until)
  }

  async keep(until: UntilMs): Promise<void> {
    const own = this.#own
    if (!own) return
    const { note, writtenMs } = own
    const beganMs = monotonicMs()
    if (writtenMs !== undefined && beganMs - writtenMs < this.#lifeMs * KEPT_PART) return
    await this.#objects.write(this.#name, note, 'anyhow', until)
    if (this.#own === own) this.#own = { note, writtenMs: beganMs }
  }

  async withdraw(until: UntilMs): Promise<void> {
    this.#own = undefined
    await this.#objects.remove(this.#name, until)
  }

  /** Those written last come first. */
  async all(until: UntilMs): Promise<readonly string[]> {
    const listed = await this.#objects.list(FOLDER, until)
    const alive = listed
      .filter(({ name, bytes }) => NAME.test(name) && bytes <= MAX_ELECTION_BYTES)
      .filter((note) => ageOf(note) < this.#lifeMs)
      .toSorted((a, b) => ageOf(a) - ageOf(b))
      .slice(0, MAX_CANDIDATE_NOTES)
    const notes = await Promise.all(
      alive.map(({ name }) => this.#objects.read(name, MAX_ELECTION_BYTES, until)),
    )
    return notes.flatMap((note) => (note ? [note.text] : []))
  }
}

const ageOf = ({ ageMs = 0 }: ListedNote) => ageMs
