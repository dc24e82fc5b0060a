/** The percentiles of a slot: from the lag that a node tells of its last minute, and back. Pure. */
import type { DatabaseLag } from '../../api/databaseStatus.ts'
import type { LagPercentiles, LagPoint } from '../../api/lagHistory.ts'
import type { SlotValue, SlotValues } from './lagSlot.ts'

export type PercentileName = Extract<SlotValue, `${string}${50 | 95 | 99}Ms`>
/** NaN where nothing was applied. */
export type SlotPercentiles = Pick<SlotValues, PercentileName>

type Told = Pick<DatabaseLag, 'stages' | 'count'> & LagPercentiles

const NONE: LagPercentiles = { p50Ms: Number.NaN, p95Ms: Number.NaN, p99Ms: Number.NaN }
export const NO_PERCENTILES = named(NONE, () => NONE)

export function percentilesOf({ count, stages, ...all }: Told): SlotPercentiles {
  return count === 0 ? NO_PERCENTILES : named(all, (stage) => stages[stage])
}

/** Both are there or neither is. */
export function toldPercentiles(values: SlotPercentiles): Pick<LagPoint, 'percentiles' | 'stages'> {
  if (Number.isNaN(values.p50Ms)) return { percentiles: null, stages: null }
  const { noticedP50Ms, noticedP95Ms, noticedP99Ms } = values
  const { sentP50Ms, sentP95Ms, sentP99Ms } = values
  const { receivedP50Ms, receivedP95Ms, receivedP99Ms } = values
  const { appliedP50Ms, appliedP95Ms, appliedP99Ms } = values
  return {
    percentiles: rounded(values.p50Ms, values.p95Ms, values.p99Ms),
    stages: {
      noticed: rounded(noticedP50Ms, noticedP95Ms, noticedP99Ms),
      sent: rounded(sentP50Ms, sentP95Ms, sentP99Ms),
      received: rounded(receivedP50Ms, receivedP95Ms, receivedP99Ms),
      applied: rounded(appliedP50Ms, appliedP95Ms, appliedP99Ms),
    },
  }
}

/** To microseconds, as they are measured. */
export function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000
}

function rounded(p50Ms: number, p95Ms: number, p99Ms: number): LagPercentiles {
  return { p50Ms: roundMs(p50Ms), p95Ms: roundMs(p95Ms), p99Ms: roundMs(p99Ms) }
}

function named(
  { p50Ms, p95Ms, p99Ms }: LagPercentiles,
  of: (stage: keyof Told['stages']) => LagPercentiles,
): SlotPercentiles {
  const [noticed, sent, received, applied] = [
    of('noticed'),
    of('sent'),
    of('received'),
    of('applied'),
  ]
  return {
    ...{ p50Ms, p95Ms, p99Ms },
    ...{ noticedP50Ms: noticed.p50Ms, noticedP95Ms: noticed.p95Ms, noticedP99Ms: noticed.p99Ms },
    ...{ sentP50Ms: sent.p50Ms, sentP95Ms: sent.p95Ms, sentP99Ms: sent.p99Ms },
    receivedP50Ms: received.p50Ms,
    receivedP95Ms: received.p95Ms,
    receivedP99Ms: received.p99Ms,
    ...{ appliedP50Ms: applied.p50Ms, appliedP95Ms: applied.p95Ms, appliedP99Ms: applied.p99Ms },
  }
}
