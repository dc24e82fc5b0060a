/** When a restore from the archive was last proven, and up to where it reached. */
import type { PlaceReport } from '../../../api/backupStatus.ts'
import type { ClusterNode } from '../../../api/clusterOverview.ts'
import { proofText, untilText } from '../archiveTexts.ts'
import { el } from '../dom.ts'
import { isoText } from '../format.ts'
import { facts, note } from '../pieces.ts'
import type { ConsoleState } from '../state.ts'

export function provenRestores({ backups, cluster, nowMs }: ConsoleState): HTMLElement {
  const places = Object.values(backups ?? {}).flatMap(({ backup }) => backup?.places ?? [])
  if (places.length === 0)
    return el(
      'div',
      {},
      note('This node writes no archive (--backup).'),
      ...(cluster?.nodes ?? []).map((node) => archiveOf(node, nowMs)),
    )
  return el('div', {}, ...places.map((place) => placeFacts(place, nowMs)))
}

/** What is known here of the archive that another node writes. */
function archiveOf({ node, restorableUntil }: ClusterNode, nowMs: number): HTMLElement | undefined {
  if (!restorableUntil) return undefined
  const until = isoText(restorableUntil.at, nowMs)
  return el('p', {}, `The archive of ${node} reaches until ${until} (${restorableUntil.position}).`)
}

function placeFacts(report: PlaceReport, nowMs: number): HTMLElement {
  const { place, drillFailure, isArchiving } = report
  const unproven = isArchiving ? 'never yet' : 'another node archives'
  return facts([
    ['Place', place],
    ['Restorable until', untilText(report, nowMs) ?? 'not known'],
    ['Proven', proofText(report, nowMs) ?? unproven],
    ...(drillFailure ? [['Last drill', drillFailure.message] as const] : []),
  ])
}
