/**
 * The archive of a node as one reader has it: who sets or removes a pin or the name of a position
 * is in the audit log, as both decide which files stay.
 */
import type { ArchiveObjects, ListedObjects, ObjectRange } from '../api/archiveObjects.ts'
import { type AuditParts, auditedDurably } from './auditedChange.ts'

const PIN = /^pins\/(\d{1,15})-/
const POINT = /^points\/(.+)\.json$/

export interface AuditedArchiveParts extends AuditParts {
  readonly objects: ArchiveObjects
  /** Which one of --backup. */
  readonly place: number
  readonly by: string
}

export class AuditedArchive implements ArchiveObjects {
  readonly #parts: AuditedArchiveParts

  constructor(parts: AuditedArchiveParts) {
    this.#parts = parts
  }

  list(folder: string, after: string, listing: string): Promise<ListedObjects> {
    return this.#parts.objects.list(folder, after, listing)
  }

  read(name: string, at: number, bytes: number): Promise<ObjectRange> {
    return this.#parts.objects.read(name, at, bytes)
  }

  writeNote(name: string, note: object): Promise<boolean> {
    const what = `sets ${textOf(name)}${aboutOf(note)}`
    return this.#audited(name, what, () => this.#parts.objects.writeNote(name, note))
  }

  removeNote(name: string): Promise<void> {
    return this.#audited(name, `removes ${textOf(name)}`, () =>
      this.#parts.objects.removeNote(name),
    )
  }

  #audited<T>(name: string, what: string, change: () => Promise<T>): Promise<T> {
    const { by, place } = this.#parts
    const action = name.startsWith('pins/') ? 'pin' : 'point'
    const detail = `${what}, place ${place} of --backup`
    return auditedDurably(this.#parts, { action, by, detail }, change)
  }
}

function textOf(name: string): string {
  const [, until] = PIN.exec(name) ?? []
  if (until !== undefined) return `a pin until ${new Date(Number(until)).toISOString()}`
  return POINT.exec(name)?.[1] ?? name
}

/** What it says of itself, which nobody has checked yet. */
function aboutOf(note: object): string {
  const { txid, files } = note as Readonly<Record<string, unknown>>
  if (typeof txid === 'number') return `: txid ${txid}`
  return Array.isArray(files) ? `: ${files.length} files` : ''
}
