/** Periods of the calendar, in UTC: the same on every node, and without days of 23 hours. */

import type { Grain } from '../../options/keepPolicy.ts'

export type Period = 'minute' | 'hour' | 'day' | 'week' | 'month' | 'year'

export const PERIOD_OF: Readonly<Record<Exclude<Grain, 'all'>, Period>> = {
  hourly: 'hour',
  daily: 'day',
  weekly: 'week',
  monthly: 'month',
  yearly: 'year',
}

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
const LENGTHS = { minute: 60_000, hour: HOUR_MS, day: DAY_MS }

/** When the period that holds `timeMs` began, ms since 1970. A week begins on Monday. */
export function periodStart(period: Period, timeMs: number): number {
  const date = new Date(timeMs)
  switch (period) {
    case 'week': {
      const dayMs = periodStart('day', timeMs)
      return dayMs - ((new Date(dayMs).getUTCDay() + 6) % 7) * DAY_MS
    }
    case 'month':
      return startOf(date.getUTCFullYear(), date.getUTCMonth())
    case 'year':
      return startOf(date.getUTCFullYear(), 0)
    default:
      return Math.floor(timeMs / LENGTHS[period]) * LENGTHS[period]
  }
}

/** `Date.UTC` takes the years 0 to 99 for those of the twentieth century. */
function startOf(year: number, month: number): number {
  return new Date(0).setUTCFullYear(year, month, 1)
}
