/** One look at a node for its history of lag: what its status and metrics have at that moment. */
import type { NodeStatus } from '../../api/nodeStatus.ts'
import type { TrafficSizes } from '../../proxy/trafficMetrics.ts'
import type { Metrics } from '../metrics.ts'
import type { LagSample } from './slotMeasure.ts'

export interface SampledNode {
  nowMs(): number
  readonly report: { status(): NodeStatus }
  readonly traffic: Pick<TrafficSizes, 'held' | 'admission' | 'watch'>
  readonly metrics: Pick<Metrics, 'totals' | 'pauses'>
}

export async function sampleOf({
  nowMs,
  report,
  traffic,
  metrics,
}: SampledNode): Promise<LagSample> {
  const totals = await metrics.totals()
  const { admission, watch } = traffic
  const status = report.status()
  const { count, totalMs } = metrics.pauses
  return {
    atMs: nowMs(),
    role: status.role,
    causes: status.causes.map(({ code }) => code),
    txid: status.txid,
    lagMs: lagOf(status),
    walBytes: status.walBytes,
    held: traffic.held + admission.held + watch.held,
    heldTotal: totals.held + admission.heldTotal + watch.heldTotal,
    bytesTotal: totals.bytes,
    pausesTotal: count,
    pausedMsTotal: totalMs,
    longestPauseMs: metrics.pauses.takeLongestMs(),
  }
}

/** Of a leader: that of its slowest replica that is there. */
function lagOf({ role, lag, replicas }: NodeStatus): number {
  if (role !== 'leader') return lag.lagMs
  return Math.max(0, ...replicas.filter(({ connected }) => connected).map(({ lagMs }) => lagMs))
}
