/** The history of lag of a node, in two files of its folder. */
import { LagHistory } from '../health/lagRing/lagHistory.ts'
import { sampleOf } from '../health/lagRing/nodeSample.ts'
import { percentilesOf } from '../health/lagRing/slotPercentiles.ts'
import type { NodeReport } from '../health/nodeReport.ts'
import type { Traffic } from '../proxy/traffic.ts'
import type { Ground } from './nodeGround.ts'

export function newLagHistory(ground: Ground, report: NodeReport, traffic: Traffic): LagHistory {
  const { setup, stateFolder, nodeFile, trail, metrics, ops, clock } = ground
  const { onLagSlotDropped } = metrics.notices()
  const nowMs = () => clock.nowMs()
  return new LagHistory({
    folder: stateFolder,
    audit: trail,
    owner: () => nodeFile.record,
    ops,
    log: setup.log,
    onDropped: onLagSlotDropped,
    nowMs,
    sample: () => sampleOf({ nowMs, report, traffic, metrics }),
    percentiles: () => percentilesOf(report.lag()),
  })
}
