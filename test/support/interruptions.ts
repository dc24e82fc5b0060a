/**
 * What clients felt of each change of leader and each death, and which failures it excuses. Pure:
 * no clock, no file, no process.
 *
 *   from ──────── struck ───── died ──────── seen ───────────────────────── to
 *   all is well    the kill     its sockets   every balancer sends requests   all is well again
 *                               are closed    where they are taken
 *
 * A request that begins after `seen` has no excuse, however busy the machine is: `seen` is what a
 * balancer says of its own health checks, not a time that they should have taken.
 */
import { describe, type Exchange, isWrite, outcomeOf } from './history.ts'

export type Cause =
  | 'switchover'
  | 'leader node'
  | 'replica node'
  | 'leader application'
  | 'replica application'

/**
 * Times are those of the clients' clock, ms. One interruption begins where the one before it ends.
 */
export interface Interruption {
  readonly cause: Cause
  readonly fromMs: number
  /** Just before the leader was told to move, or the process was killed. */
  readonly struckMs: number
  /** When the process died; undefined without a death. */
  readonly diedMs?: number
  readonly seenMs?: number
  /** Until when the dead node was certainly away. */
  readonly aloneToMs?: number
  readonly toMs: number
}

/**
 * A request that was asked again with its key, because its first answer told nothing of its
 * outcome.
 */
export interface Repeat {
  readonly first: Exchange
  readonly again: Exchange
}

/**
 * What held at a moment: `level`: the replica had all that had been answered. `died`: the leader's
 * node had gone.
 */
export interface Mark {
  readonly what: 'level' | 'died'
  readonly atMs: number
}

export interface Felt {
  readonly asked: number
  /** The longest time from a request to its success, failures included, in ms. */
  readonly writePauseMs: number
  readonly readPauseMs: number
  readonly byStatus: Readonly<Record<string, number>>
  /** By status, code and kind. */
  readonly failures: Readonly<Record<string, number>>
}

/** Of a balancer or a node; 503 says that nothing was executed, 502 that this is not known. */
const HONEST: ReadonlySet<number> = new Set([502, 503])
/** Of a connection that ended in the middle of a request or an answer, as undici says it. */
const BROKEN: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

export function feltOf(
  { fromMs, struckMs, toMs }: Interruption,
  record: readonly Exchange[],
): Felt {
  const of = record.filter(({ endMs }) => endMs > fromMs && endMs <= toMs)
  return {
    asked: of.length,
    writePauseMs: pauseIn(record.filter(isWrite), struckMs, toMs),
    readPauseMs: pauseIn(
      record.filter((each) => !isWrite(each)),
      struckMs,
      toMs,
    ),
    byStatus: countsOf(of, ({ status }) => String(status)),
    failures: countsOf(
      of.filter((each) => outcomeOf(each) !== 'done'),
      ({ status, code = '', kind }) => [status, code, kind].filter(Boolean).join(' '),
    ),
  }
}

/**
 * Failures that nothing excuses: of another kind than 502, 503 or a connection broken by a node
 * that died, or at another time.
 */
export function dishonestIn(
  record: readonly Exchange[],
  interruptions: readonly Interruption[],
): string[] {
  const deaths = interruptions.filter(({ seenMs }) => seenMs !== undefined)
  return record
    .filter((each) => outcomeOf(each) !== 'done' && !deaths.some((death) => excuses(death, each)))
    .map(describe)
}

function excuses(
  { cause, struckMs, seenMs = struckMs }: Interruption,
  exchange: Exchange,
): boolean {
  const { status, code = '', startMs, endMs } = exchange
  if (startMs >= seenMs || endMs <= struckMs) return false
  const isOfNode = cause === 'leader node' || cause === 'replica node'
  return HONEST.has(status) || (status === 0 && isOfNode && BROKEN.has(code))
}

/**
 * Writes that say that another node has them while there was none, and those that do not say
 * whether one has, although it was asked for.
 */
export function falseAcksIn(
  record: readonly Exchange[],
  interruptions: readonly Interruption[],
): string[] {
  const faults: string[] = []
  for (const exchange of record) {
    if (!isWrite(exchange) || outcomeOf(exchange) !== 'done') continue
    const { acked, notReplicated, startMs, endMs } = exchange
    if ((acked === undefined) === (notReplicated === undefined))
      faults.push(`unsaid: ${describe(exchange)}`)
    const wasAlone = interruptions.some(
      ({ diedMs, aloneToMs = 0 }) =>
        diedMs !== undefined && startMs >= diedMs && endMs <= aloneToMs,
    )
    if (wasAlone && acked !== undefined)
      faults.push(`acknowledged by nobody: ${describe(exchange)}`)
  }
  return faults
}

/**
 * Keyed requests that the application got twice: it knows them already, and the leader that
 * remembers its answers had not died. With that leader its memory is gone, and only the
 * application's own key keeps a second time from being applied.
 */
export function executedTwice(
  repeats: readonly Repeat[],
  interruptions: readonly Interruption[],
): string[] {
  const leaderDeaths = interruptions.filter(({ cause }) => cause === 'leader node')
  return repeats
    .filter(({ again }) => again.status === 409)
    .filter(({ first }) => !leaderDeaths.some((death) => excuses(death, first)))
    .map(({ again }) => describe(again))
}

/**
 * The record in which a write counts as acknowledged also if the replica was level after it was
 * answered, before the leader died: whatever came then, it must be there in the end. `marks` in
 * their order.
 */
export function withKept(record: readonly Exchange[], marks: readonly Mark[]): Exchange[] {
  return record.map((exchange) => {
    const { acked, position, startMs, endMs } = exchange
    if (!isWrite(exchange) || outcomeOf(exchange) !== 'done') return exchange
    if (acked !== undefined || position === undefined) return exchange
    const next = marks.find(({ what, atMs }) => (what === 'died' ? atMs >= startMs : atMs >= endMs))
    return next?.what === 'level' ? { ...exchange, acked: 'level later' } : exchange
  })
}

/**
 * The longest time of one client from its asking to an answer of success, over failures, that
 * reaches into the time from `fromMs` to `toMs`.
 */
function pauseIn(record: readonly Exchange[], fromMs: number, toMs: number): number {
  let longestMs = 0
  const sinceMs = new Map<number, number>()
  for (const each of record) {
    const { session, startMs, endMs } = each
    const askedMs = sinceMs.get(session) ?? startMs
    sinceMs.set(session, askedMs)
    if (outcomeOf(each) !== 'done') continue
    sinceMs.delete(session)
    if (endMs > fromMs && askedMs < toMs) longestMs = Math.max(longestMs, endMs - askedMs)
  }
  return longestMs
}

function countsOf(
  of: readonly Exchange[],
  nameOf: (each: Exchange) => string,
): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const each of of) {
    const name = nameOf(each)
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
