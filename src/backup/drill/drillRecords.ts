/**
 * What came of the last drills, by place, in `FILE-walcast/drills.json`. A file that cannot be read
 * counts as none: the next drill proves again.
 */
import { messageOf, systemCode } from '../../errors.ts'
import type { FileOps } from '../../platform/fileOps.ts'
import { readFileSync } from '../../platform/files.ts'
import type { DrillKind } from './drillOrder.ts'

/** What a drill proved. Times are in ms since 1970. */
export interface DrillProof {
  readonly kind: DrillKind
  /** EPOCH-TXID. */
  readonly position: string
  readonly incarnation: string
  /** When the leader noticed that commit. */
  readonly untilMs: number
  /** When the drill ended. */
  readonly provenMs: number
  readonly tookMs: number
  /** Bytes that were read of the archive. */
  readonly bytes: number
}

export interface DrillFailure {
  readonly code: string
  readonly message: string
  readonly failedMs: number
}

export interface DrillRecord {
  /** Since when this node knows that the place has an archive. */
  readonly sinceMs: number
  /** End of the last drill; undefined before the first. */
  readonly lastMs?: number | undefined
  readonly proof?: DrillProof | undefined
  /** Of the last drill; undefined when it succeeded. */
  readonly failure?: DrillFailure | undefined
}

type Fields = Readonly<Record<string, unknown>>

export class DrillRecords {
  readonly #path: string
  readonly #ops: FileOps
  readonly #records: Map<string, DrillRecord>
  #writing: Promise<void> = Promise.resolve()

  private constructor(path: string, ops: FileOps, records: Map<string, DrillRecord>) {
    this.#path = path
    this.#ops = ops
    this.#records = records
  }

  /** Keeps those of `places` alone. `onBroken` hears why the file cannot be read. */
  static open(
    path: string,
    places: readonly string[],
    ops: FileOps,
    onBroken: (why: string) => void,
  ): DrillRecords {
    const found = new Map<string, DrillRecord>()
    try {
      const all: Fields = Object(JSON.parse(readFileSync(path, 'utf8')))
      for (const place of places) {
        const record = Object.hasOwn(all, place) ? parseRecord(all[place]) : undefined
        if (record) found.set(place, record)
      }
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') onBroken(messageOf(error))
    }
    return new DrillRecords(path, ops, found)
  }

  get(place: string): DrillRecord | undefined {
    return this.#records.get(place)
  }

  /** Durable when it resolves. Throws DISK_FULL or WRITE_FAILED, and knows it all the same. */
  set(place: string, record: DrillRecord): Promise<void> {
    this.#records.set(place, record)
    const written = this.#writing.then(() => this.#write())
    this.#writing = written.catch(() => {})
    return written
  }

  /** Resolves when nothing is being written. */
  settled(): Promise<void> {
    return this.#writing
  }

  #write(): Promise<void> {
    const content = JSON.stringify(Object.fromEntries(this.#records))
    return this.#ops.replace(this.#path, content, 'drills')
  }
}

function parseRecord(value: unknown): DrillRecord | undefined {
  const { sinceMs, lastMs, proof, failure }: Fields = Object(value)
  if (!isTime(sinceMs)) return undefined
  return {
    sinceMs,
    lastMs: isTime(lastMs) ? lastMs : undefined,
    proof: proof === undefined ? undefined : parseProof(Object(proof)),
    failure: failure === undefined ? undefined : parseFailure(Object(failure)),
  }
}

function parseProof(fields: Fields): DrillProof | undefined {
  const { kind, position, incarnation, untilMs, provenMs, tookMs, bytes } = fields
  if (kind !== 'proven' && kind !== 'checked') return undefined
  if (typeof position !== 'string' || typeof incarnation !== 'string') return undefined
  if (!isTime(untilMs) || !isTime(provenMs) || !isTime(tookMs) || !isTime(bytes)) return undefined
  return { kind, position, incarnation, untilMs, provenMs, tookMs, bytes }
}

function parseFailure({ code, message, failedMs }: Fields): DrillFailure | undefined {
  if (typeof code !== 'string' || typeof message !== 'string' || !isTime(failedMs)) return undefined
  return { code, message, failedMs }
}

/** Within what a Date takes. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 8.64e15
}
