/** The bench's writers and readers as programs with their arguments. */
import type { Place, Program } from './system.ts'

/** Bytes of the value in each small row. */
const VALUE_BYTES = 100

export type Writing =
  /** Steady rate after a warm-up at another, ids from 1; logs [id, due, begun, committed]. */
  | {
      readonly kind: 'paced'
      readonly warmupPerSecond: number
      readonly warmupCount: number
      readonly ratePerSecond: number
      readonly count: number
      readonly pages: number
      readonly log: string
    }
  /** Small commits at full speed. */
  | { readonly kind: 'full'; readonly seconds: number; readonly autocheckpoint: number }
  /**
   * Large commits into a SQLite file, numbered from `firstId`; logs [number, begun, begun,
   * committed].
   */
  | {
      readonly kind: 'large'
      readonly firstId: number
      readonly transactions: number
      readonly pages: number
      readonly autocheckpoint: number
      readonly log: string
    }

/** Logs [largest number seen, when] until it sees `until`. */
export interface Watching {
  readonly until: number
  readonly maxSeconds: number
  readonly pauseMs: number
  readonly log: string
}

export function writer(place: Place, writing: Writing): Program {
  switch (writing.kind) {
    case 'paced':
      return program('pacedWriter', place, {
        'warmup-rate': writing.warmupPerSecond,
        'warmup-count': writing.warmupCount,
        rate: writing.ratePerSecond,
        count: writing.count,
        pages: writing.pages,
        log: writing.log,
        'value-bytes': VALUE_BYTES,
        autocheckpoint: 1000,
      })
    case 'full': {
      const { seconds, autocheckpoint } = writing
      return program('fullSpeedWriter', place, {
        seconds,
        autocheckpoint,
        'value-bytes': VALUE_BYTES,
      })
    }
    case 'large': {
      const { firstId, transactions, pages, autocheckpoint, log } = writing
      const size = { 'first-id': firstId, transactions, pages }
      return program('largeWriter', place, { ...size, autocheckpoint, log })
    }
  }
}

export function reader(place: Place, { until, maxSeconds, pauseMs, log }: Watching): Program {
  return program('reader', place, { until, 'max-seconds': maxSeconds, 'pause-ms': pauseMs, log })
}

/** Looks without a pause until it is stopped. */
export function busyReader(place: Place): Program {
  return program('busyReader', place, {})
}

export function digest(place: Place): Program {
  return program('digest', place, {})
}

function program(
  name: string,
  place: Place,
  flags: Readonly<Record<string, string | number>>,
): Program {
  const all = { client: place.client, where: place.where, ...flags }
  const args = Object.entries(all).flatMap(([flag, value]) => [`--${flag}`, String(value)])
  return { script: `programs/${name}.js`, args }
}
