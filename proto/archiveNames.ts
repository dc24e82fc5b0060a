/**
 * Names of archive files in a store. They say what a file holds, so that a restore is planned from
 * a list of names alone. ARCHIVE.md has the format.
 */

import { MAX_COUNTED } from './limits.ts'
import { isIncarnation } from './lineage.ts'

/** A position of a history: a txid in an incarnation. */
export interface ArchivedPlace {
  readonly incarnation: string
  readonly txid: number
}

/** One part of what is larger than a file. Parts are numbered from 1. */
export interface ArchivePart {
  readonly part: number
  readonly isLast: boolean
}

export interface SnapshotName extends ArchivedPlace, ArchivePart {
  readonly kind: 'snapshot'
}

export interface ChangesName extends ArchivePart {
  readonly kind: 'changes'
  /** The position before the first one in the file. */
  readonly from: ArchivedPlace
  /** The last one. */
  readonly to: ArchivedPlace
  /** 0 as captured; a file of a higher level holds what several below it hold. */
  readonly level: number
}

export type ArchiveName = SnapshotName | ChangesName

export const MAX_LEVEL = 9
/** A file of this level or a higher one holds one position, the last one of its name. */
export const FIRST_THINNED_LEVEL = 4
export const MAX_PARTS = 9999

/** Digits of MAX_COUNTED: names of one incarnation sort by txid. */
const TXID_DIGITS = 15
const SNAPSHOT = /^snapshots\/(\d{15})-([0-9a-f]{16})(?:\.(\d{4})(\.last)?)?\.wca$/
const CHANGES = new RegExp(
  '^changes/(\\d)/(\\d{15})-(\\d{15})-([0-9a-f]{16})(?:-after-([0-9a-f]{16}))?' +
    '(?:\\.(\\d{4})(\\.last)?)?\\.wca$',
)

/** Whether a file has lost the positions before its last one. */
export function isThinned(name: ArchiveName): boolean {
  return name.kind === 'changes' && name.level >= FIRST_THINNED_LEVEL
}

export function formatArchiveName(name: ArchiveName): string {
  const part = partOf(name)
  if (name.kind === 'snapshot')
    return `snapshots/${digits(name.txid)}-${name.incarnation}${part}.wca`
  const { from, to, level } = name
  const after = from.incarnation === to.incarnation ? '' : `-after-${from.incarnation}`
  const range = `${digits(from.txid)}-${digits(to.txid)}`
  return `changes/${level}/${range}-${to.incarnation}${after}${part}.wca`
}

/** Undefined for the name of something else. */
export function parseArchiveName(name: string): ArchiveName | undefined {
  return snapshotNamed(name) ?? changesNamed(name)
}

function snapshotNamed(name: string): SnapshotName | undefined {
  const [, txid, incarnation, part, last] = SNAPSHOT.exec(name) ?? []
  const place = placeOf(txid, incarnation)
  const parts = partIn(part, last)
  return place && parts && { kind: 'snapshot', ...place, ...parts }
}

function changesNamed(name: string): ChangesName | undefined {
  const [, level, before, last, incarnation, after, part, end] = CHANGES.exec(name) ?? []
  const to = placeOf(last, incarnation)
  const from = placeOf(before, after ?? incarnation)
  const parts = partIn(part, end)
  if (!from || !to || !parts || from.txid >= to.txid || after === incarnation) return undefined
  return { kind: 'changes', from, to, level: Number(level), ...parts }
}

function digits(txid: number): string {
  return String(txid).padStart(TXID_DIGITS, '0')
}

function partOf({ part, isLast }: ArchivePart): string {
  if (part === 1 && isLast) return ''
  return `.${String(part).padStart(4, '0')}${isLast ? '.last' : ''}`
}

/** What is whole in one file has no part in its name. */
function partIn(part: string | undefined, last: string | undefined): ArchivePart | undefined {
  if (part === undefined) return { part: 1, isLast: true }
  const isAlone = Number(part) === 1 && last !== undefined
  return Number(part) === 0 || isAlone
    ? undefined
    : { part: Number(part), isLast: last !== undefined }
}

function placeOf(
  txid: string | undefined,
  incarnation: string | undefined,
): ArchivedPlace | undefined {
  if (txid === undefined || incarnation === undefined || !isIncarnation(incarnation))
    return undefined
  return Number(txid) <= MAX_COUNTED ? { incarnation, txid: Number(txid) } : undefined
}
