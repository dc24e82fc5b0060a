/**
 * The causes that a leader and a relay see alike: both feed replicas and have a WAL. Pure: from
 * measurements to causes.
 */
import type { Cause } from '../api/cause.ts'
import type { LongReader } from '../sqlite/longReaders.ts'
import { ageText, rateText, sizeText } from './causeText.ts'

/** A read transaction is long when it has been open for this time. */
export const LONG_READER_MS = 5000
/** A state that has lasted for less time may pass by itself. */
export const LASTING_MS = 3000
/** Less lag needs no explanation. */
export const LAG_MS = 1000
/** The most causes of one kind that are told. The text of the last one counts the rest. */
const MAX_OF_A_KIND = 16

export interface WalMeasures {
  readonly walBytes: number
  /**
   * Readers in other processes, while the WAL is over its bound and cannot be emptied; else none.
   */
  readonly readers: readonly LongReader[]
}

export interface LinkMeasures {
  readonly node: string
  /** Handed to its socket. What the network holds comes on top. */
  readonly bufferedBytes: number
  /** How long the replica has been behind at each look. */
  readonly behindMs: number
  readonly takenPerSecond: number
  /**
   * How long nothing has come from it, when that is longer than on a working link; else 0.
   */
  readonly downMs: number
  readonly lagMs: number
}

export interface AwayMeasures {
  readonly node: string
  /** Null: it has never told where it stands. */
  readonly epoch: number | null
  readonly txid: number | null
  /** ISO time. */
  readonly lastSeen: string
  readonly awayMs: number
  readonly via?: string
}

export interface FeedMeasures extends WalMeasures {
  readonly links: readonly LinkMeasures[]
  readonly away: readonly AwayMeasures[]
}

export function feedCauses(measured: FeedMeasures): Cause[] {
  const down = measured.links.filter(({ downMs }) => downMs >= LASTING_MS)
  const slow = measured.links.filter((link) => link.behindMs >= LASTING_MS && !down.includes(link))
  const away = measured.away.filter(({ awayMs }) => awayMs >= LASTING_MS)
  return [
    ...few(measured.readers, (reader) => longReader(reader, measured.walBytes)),
    ...few(down, linkDown),
    ...few(slow, slowLink),
    ...few(away, replicaAway),
  ]
}

function few<T>(all: readonly T[], causeOf: (one: T) => Cause): Cause[] {
  const causes = all.slice(0, MAX_OF_A_KIND).map(causeOf)
  const last = causes.pop()
  if (!last) return []
  const more = all.length - MAX_OF_A_KIND
  return [
    ...causes,
    more > 0 ? { ...last, text: `${last.text} (and ${more} more like this)` } : last,
  ]
}

function longReader({ pid, process, heldMs }: LongReader, walBytes: number): Cause {
  return {
    code: 'long-reader',
    text:
      `process ${pid} (${process}) has kept a read transaction open for at least ` +
      `${ageText(heldMs)}: the WAL (${sizeText(walBytes)}) cannot be emptied until it ends; ` +
      'let it commit or roll back, or end the process',
    pid,
    process,
    ageSeconds: Math.floor(heldMs / 1000),
    walBytes,
  }
}

function linkDown({ node, bufferedBytes, downMs, lagMs }: LinkMeasures): Cause {
  return {
    code: 'link-down',
    text:
      `nothing has come from replica ${node} for ${ageText(downMs)}, though its connection is ` +
      'open: the network to it is down, or its process stands still; check both',
    node,
    silentSeconds: Math.floor(downMs / 1000),
    bufferedBytes,
    lagMs: Math.round(lagMs),
  }
}

/** A replica that does not apply fills its link too: from here the two look the same. */
function slowLink({ node, bufferedBytes, behindMs, takenPerSecond, lagMs }: LinkMeasures): Cause {
  return {
    code: 'slow-link',
    text:
      `replica ${node} has been behind for ${ageText(behindMs)}: it, or the network to it, ` +
      `takes only ${rateText(takenPerSecond)}, ${sizeText(bufferedBytes)} wait to be sent; ` +
      'check the network, and whether the status of the replica says apply-bound',
    node,
    bufferedBytes,
    takenBytesPerSecond: Math.round(takenPerSecond),
    behindSeconds: Math.floor(behindMs / 1000),
    lagMs: Math.round(lagMs),
  }
}

function replicaAway({ node, epoch, txid, lastSeen, awayMs, via }: AwayMeasures): Cause {
  const where = via === undefined ? '' : ` (fed by ${via})`
  const isKnown = epoch !== null && txid !== null
  const position = isKnown ? `last seen at ${epoch}-${txid}` : 'its position is not known'
  return {
    code: 'replica-away',
    text:
      `replica ${node}${where} has been away for ${ageText(awayMs)}, ${position}; start it, or ` +
      `take it off the list with walcast forget ${node}`,
    node,
    ...(isKnown ? { epoch, txid } : {}),
    lastSeen,
    awaySeconds: Math.floor(awayMs / 1000),
    ...(via === undefined ? {} : { via }),
  }
}
