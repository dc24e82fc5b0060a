/**
 * The object `lead` as this process knows it. Each write replaces exactly what its writer had seen,
 * so all of them form one chain; what was seen, and since when, is kept in `Sightings`.
 */
import { randomBytes } from '../../../platform/random.ts'
import { away, type ElectionObjects, type UntilMs } from './electionObjects.ts'
import { formatLead, type LeadContent, MAX_LEAD_BYTES, parseLead } from './leadObject.ts'
import { ABSENT, type Sighting, Sightings } from './sightings.ts'

const LEAD = 'lead'
const NONCE_BYTES = 16

/** What a write puts there; its nonce is a new one unless given. */
export interface NextLead {
  readonly value: string
  readonly holder: string
  readonly nonce?: string
}

export interface Replaced {
  readonly isWritten: boolean
  /** What is there now. */
  readonly sighting: Sighting
}

export class LeadChain {
  readonly #objects: ElectionObjects
  readonly #ttlMs: number
  readonly #seen: Sightings

  constructor(objects: ElectionObjects, ttlMs: number) {
    this.#objects = objects
    this.#ttlMs = ttlMs
    this.#seen = new Sightings(ttlMs)
  }

  /** What was seen last. */
  get last(): Sighting | undefined {
    return this.#seen.last
  }

  isFree(sighting: Sighting): boolean {
    return this.#seen.isFree(sighting)
  }

  freeAtMs(sighting: Sighting): number {
    return this.#seen.freeAtMs(sighting)
  }

  /** Throws ELECTION_AWAY, as all that asks the store. */
  async read(until: UntilMs): Promise<Sighting> {
    const stored = await this.#objects.read(LEAD, MAX_LEAD_BYTES, until)
    if (!stored) return this.#seen.saw(ABSENT, undefined)
    const content = parseLead(stored.text)
    if (!content) throw away(this.#objects.name, `${LEAD} is not what walcast writes there`)
    return this.#seen.saw(stored.etag, content)
  }

  /**
   * Writes `next` in place of exactly `before`. A write whose condition does not hold may have been
   * carried out after all: something on its way may have sent it twice. Its nonce tells.
   */
  async replace({ etag }: Sighting, next: NextLead, until: UntilMs): Promise<Replaced> {
    const content = this.#contentOf(next)
    const condition = etag === ABSENT ? 'new' : { etag }
    const written = await this.#objects.write(LEAD, formatLead(content), condition, until)
    if (written !== undefined)
      return { isWritten: true, sighting: this.#seen.saw(written, content) }
    const sighting = await this.read(until)
    return { isWritten: isSame(sighting.content, content), sighting }
  }

  #contentOf({ value, holder, nonce = newNonce() }: NextLead): LeadContent {
    return { value, holder, ttlMs: this.#ttlMs, count: this.#seen.nextCount, nonce }
  }
}

export function newNonce(): string {
  return randomBytes(NONCE_BYTES).toString('hex')
}

/** Whether they are one write. */
function isSame(a: LeadContent | undefined, b: LeadContent): boolean {
  return a?.nonce === b.nonce && a.value === b.value
}
