/** When a restore from the archive was last proven, and up to where it reached. */
import type { PlaceReport } from '../../../api/backupStatus.ts'
import type { ConsoleBackups } from '../../../api/consoleSession.ts'
import { el } from '../dom.ts'
import { agoText, timeText } from '../format.ts'
import { facts } from '../pieces.ts'

export function provenRestores(backups: ConsoleBackups | undefined, nowMs: number): HTMLElement {
  const places = Object.values(backups ?? {}).flatMap(({ backup }) => backup?.places ?? [])
  if (places.length === 0)
    return el('p', { class: 'note' }, 'This node writes no archive (--backup).')
  return el('div', {}, ...places.map((place) => placeFacts(place, nowMs)))
}

function placeFacts(report: PlaceReport, nowMs: number): HTMLElement {
  const { place, restorableUntil, drillFailure, isArchiving } = report
  const proof = report.proven ?? report.checked
  const until = restorableUntil
    ? `${timeText(Date.parse(restorableUntil.at), nowMs)} (${restorableUntil.position})`
    : 'not known'
  const proven = proof
    ? `${agoText(nowMs - Date.parse(proof.provenAt))}, up to ${proof.position}`
    : isArchiving
      ? 'never yet'
      : 'another node archives'
  return facts([
    ['Place', place],
    ['Restorable until', until],
    ['Proven', proven],
    ...(drillFailure ? [['Last drill', drillFailure.message] as const] : []),
  ])
}
