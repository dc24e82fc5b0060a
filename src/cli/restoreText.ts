/** What `walcast restore` says, to a person and to a program. */
import { formatArchiveName } from '../../proto/archiveNames.ts'
import type { PlannedRestore } from '../backup/archiveRestore.ts'
import type { RestorePlace } from '../backup/replacedFile.ts'
import type { Restored } from '../backup/restore.ts'
import { positionText } from '../backup/restoreTarget.ts'
import type { WalcastError } from '../errors.ts'
import type { IntegrityCheck } from '../sqlite/integrityCheck.ts'
import { formatBytes, shown } from './queryCommand.ts'

/** Files and histories that a text names. */
const MAX_NAMED = 20

export const RESUMED_TEXT = 'going on where an earlier restore was interrupted\n'

export interface DoneRestore {
  readonly path: string
  readonly restored: Restored
  /** Undefined when it was not wanted. */
  readonly check: IntegrityCheck | undefined
  readonly seconds: number
}

export function planText(plan: PlannedRestore): string {
  return textOf([`restoring ${targetText(plan)}`, ...othersText(plan), `reading ${sizeOf(plan)}`])
}

/** What a restore would do; with `--force` if it is forced. */
export function dryText(plan: PlannedRestore, place: RestorePlace, isForced: boolean): string {
  const { files } = plan
  const names = files.slice(0, MAX_NAMED).map(({ name }) => `  ${formatArchiveName(name)}`)
  const more = files.length > MAX_NAMED ? [`  and ${files.length - MAX_NAMED} more`] : []
  const replaced = isForced ? 'would be replaced' : 'is there already: only --force replaces it'
  return textOf([
    `would restore ${targetText(plan)}`,
    ...othersText(plan),
    `${place.path} ${place.isThere ? replaced : 'would be made'}`,
    `would read ${sizeOf(plan)}:`,
    ...names,
    ...more,
  ])
}

function targetText({ target }: PlannedRestore): string {
  if (target.isCutOff) return `${positionText(target)}, the last one before what is missing`
  return `${positionText(target)}${target.isLast ? ', the last one that is archived' : ''}`
}

function sizeOf({ files, bytes }: PlannedRestore): string {
  return `${files.length} ${files.length === 1 ? 'file' : 'files'}, ${formatBytes(bytes)}`
}

/** Other histories, which may have what is looked for. */
function othersText({ target }: PlannedRestore): string[] {
  if (target.others.length === 0) return []
  const named = target.others.slice(0, MAX_NAMED).map(({ head, first, last }) => {
    const { id, epoch, node } = head
    return `  --incarnation ${id} has ${epoch}-${first} to ${epoch}-${last}, written by ${node}`
  })
  const { id, node } = target.head
  return [
    `it is of the history of incarnation ${id}, written by ${node}; other histories:`,
    ...named,
  ]
}

export function planJson({ target, files, bytes }: PlannedRestore, place: RestorePlace): unknown {
  return {
    event: 'plan',
    path: place.path,
    replaces: place.isThere,
    ...positionJson(target),
    last: target.isLast,
    cutOff: target.isCutOff,
    cluster: target.head.cluster,
    db: target.head.db,
    others: target.others.map(({ head, first, last }) => ({
      incarnation: head.id,
      epoch: head.epoch,
      node: head.node,
      fromTxid: first,
      toTxid: last,
    })),
    files: files.map(({ name, bytes: length }) => ({
      name: formatArchiveName(name),
      bytes: length,
    })),
    bytes,
  }
}

export function restoredText({ path, restored, check, seconds }: DoneRestore): string {
  const { pages, pageSize, writtenPages, checksum } = restored
  const size = `${pages} pages of ${pageSize} bytes (${formatBytes(pages * pageSize)})`
  return textOf([
    `restored ${path}: ${positionText(restored)}`,
    `${size}: ${writtenPages} written, ${pages - writtenPages} were there already`,
    `state checksum ${checksum}, as archived; integrity check: ${checkText(check)}`,
    `took ${seconds.toFixed(1)} s`,
  ])
}

export function checkText(check: IntegrityCheck | undefined): string {
  if (!check) return 'not run'
  return check.outcome === 'impossible' ? `not possible here (${check.detail})` : check.outcome
}

export function restoredJson({ path, restored, check, seconds }: DoneRestore): unknown {
  const { pages, pageSize, writtenPages, checksum } = restored
  return {
    event: 'restored',
    path,
    ...positionJson(restored),
    checksum,
    pageSize,
    pages,
    writtenPages,
    equalPages: pages - writtenPages,
    integrityCheck: check?.outcome ?? 'not run',
    seconds,
  }
}

/** The folder of a node remembers another state than that of the restored file. */
export function nodeText(path: string): string {
  return textOf([
    `${path}-walcast is left as it was: a node that is started on it finds out that its database ` +
      'was put back (docs/operating/restoring.md)',
  ])
}

export function warningText(name: string, error: WalcastError): string {
  return textOf([`not using ${name}: ${error.message}`])
}

/** The archive cannot be written to, for one. */
export function unheldText(error: WalcastError): string {
  return textOf([
    `cannot mark the files as being read: ${error.message}`,
    'if a node removes some of them meanwhile, the restore takes another way, or ends',
  ])
}

interface Positioned {
  readonly incarnation: string
  readonly epoch: number
  readonly txid: number
  readonly timeMs: number
}

export function positionJson({ incarnation, epoch, txid, timeMs }: Positioned): object {
  return { incarnation, epoch, txid, position: `${epoch}-${txid}`, time: isoText(timeMs) }
}

function isoText(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

export function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${shown(line)}\n`).join('')
}
