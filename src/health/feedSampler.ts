/** Measures what `feedCauses` explains. */
import type { Link, ReplicaList } from '../feed/replicaList.ts'
import { foreignReadLocks, type ReadLock } from '../sqlite/lockTable.ts'
import { LongReaders } from '../sqlite/longReaders.ts'
import { pinFile } from '../sqlite/pinnedFiles.ts'
import {
  type AwayMeasures,
  type FeedMeasures,
  LAG_MS,
  type LinkMeasures,
  LONG_READER_MS,
} from './feedCauses.ts'
import { Rate, Silence, Streak } from './streak.ts'

/** A WAL is at rest when it has not grown for this time and a checkpoint was complete. */
const AT_REST_MS = 10_000

/** The readers in other processes of the database at `path`, which this process has open. */
export function readersOf(path: string): LongReaders {
  return new LongReaders(() => readLocks(path))
}

function readLocks(path: string): ReadLock[] | undefined {
  try {
    return foreignReadLocks(pinFile(`${path}-shm`))
  } catch {
    return undefined
  }
}

/**
 * Finds the readers that keep a WAL from being emptied. It does not look while the WAL is small or
 * at rest.
 */
export class WalSampler {
  readonly #readers: LongReaders
  #lastBytes = 0
  #grewMs = 0
  #wasEmptied = true
  #isOver = false

  constructor(readers: LongReaders) {
    this.#readers = readers
  }

  /** A checkpoint ended; `complete`: the WAL can start over. */
  onCheckpoint(complete: boolean): void {
    this.#wasEmptied = complete
  }

  /** `usualBytes`: the WAL stays below this size while nothing is wrong. */
  look(
    walBytes: number,
    usualBytes: number,
    nowMs: number,
  ): Pick<FeedMeasures, 'walBytes' | 'readers'> {
    if (walBytes > this.#lastBytes) this.#grewMs = nowMs
    this.#lastBytes = walBytes
    this.#isOver = walBytes > usualBytes
    const isAtRest = this.#wasEmptied && nowMs - this.#grewMs > AT_REST_MS
    if (!this.#isOver || isAtRest) {
      this.#readers.forget()
      this.#isOver = false
      return { walBytes, readers: [] }
    }
    const readers = this.#readers.look(nowMs, LONG_READER_MS)
    if (!readers) this.#isOver = false
    return { walBytes, readers: readers ?? [] }
  }

  /**
   * At the last look the WAL was too large, the last checkpoint was not complete, and no other
   * process held it.
   */
  get isStuck(): boolean {
    return this.#isOver && !this.#wasEmptied && !this.#readers.anyHeld
  }
}

interface KnownLink {
  readonly behind: Streak
  readonly taken: Rate
  readonly silence: Silence
}

/** How fast the replicas of this node take what it sends, and which are away. */
export class LinkSampler {
  readonly #list: ReplicaList
  #known = new Map<string, KnownLink>()

  constructor(list: ReplicaList) {
    this.#list = list
  }

  /** `txid`: where this node stands. */
  look(txid: number, nowMs: number): Pick<FeedMeasures, 'links' | 'away'> {
    const before = this.#known
    this.#known = new Map()
    const links = this.#list.links().map((link) => {
      const known = before.get(link.node) ?? newLink()
      this.#known.set(link.node, known)
      return measureLink(link, txid, known, nowMs)
    })
    return { links, away: this.#away(nowMs) }
  }

  #away(nowMs: number): AwayMeasures[] {
    const away = this.#list.list().filter(({ connected }) => !connected)
    return away.map(({ node, epoch, txid, lastSeen, via }) => ({
      node,
      epoch,
      txid,
      lastSeen,
      awayMs: nowMs - Date.parse(lastSeen),
      ...(via === undefined ? {} : { via }),
    }))
  }
}

/**
 * A first copy takes its time: a replica that has nothing yet is not behind. A replica that has
 * everything is not behind either, whatever its last lag was.
 */
function measureLink(
  link: Link,
  ownTxid: number,
  { behind, taken, silence }: KnownLink,
  nowMs: number,
): LinkMeasures {
  const { node, txid, bufferedBytes, takenBytes, lagMs } = link
  const hasCopy = txid > 0
  const isBehind = hasCopy && txid < ownTxid && lagMs >= LAG_MS
  const takenPerSecond = taken.look(takenBytes, nowMs)
  const downMs = silence.look(hasCopy ? link.silentMs : 0)
  return {
    node,
    bufferedBytes,
    behindMs: behind.look(isBehind, nowMs),
    takenPerSecond,
    downMs,
    lagMs,
  }
}

function newLink(): KnownLink {
  return { behind: new Streak(), taken: new Rate(), silence: new Silence() }
}
