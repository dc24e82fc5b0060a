/** How far an archive reaches, and how far that is proven, in words. Pure. */
import type { PlaceReport } from '../../api/backupStatus.ts'
import { agoText, isoText } from './format.ts'

/** Undefined while it is not known. */
export function untilText({ restorableUntil }: PlaceReport, nowMs: number): string | undefined {
  if (!restorableUntil) return undefined
  const { at, position } = restorableUntil
  return `${isoText(at, nowMs)} (${position})`
}

/** Undefined before the first proof. */
export function proofText({ proven, checked }: PlaceReport, nowMs: number): string | undefined {
  const proof = proven ?? checked
  return proof && `${agoText(nowMs - Date.parse(proof.provenAt))}, up to ${proof.position}`
}
