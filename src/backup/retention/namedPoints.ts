/**
 * Positions with a name, such as `before-migration`: they stay restorable until the name is
 * removed, whatever the policy says.
 */
import type { ArchivedPlace } from '../../../proto/archiveNames.ts'
import { counted, incarnation as incarnationField } from '../../../proto/fields.ts'
import { WalcastError } from '../../errors.ts'
import { plainText } from '../../plainText.ts'
import type { Store } from '../stores/store.ts'
import { readNote, writeNote } from './noteObject.ts'

export interface NamedPoint extends ArchivedPlace {
  readonly name: string
  /** When it got its name, ms since 1970. */
  readonly namedMs: number
}

export const MAX_NAMED_POINTS = 1000
const MAX_SHOWN_CHARS = 100
const NAME = /^[a-zA-Z0-9][\w.-]{0,99}$/
const OBJECT = /^points\/(.+)\.json$/

/**
 * False when the position has the name already. Throws USAGE when the name is not allowed, or
 * another position has it.
 */
export async function namePoint(store: Store, point: NamedPoint): Promise<boolean> {
  const { name, incarnation, txid, namedMs } = point
  if (!NAME.test(name))
    throw usage(
      `no position can have the name "${plainText(name, MAX_SHOWN_CHARS)}": a name has up to 100 ` +
        'letters, digits, ".", "_" and "-", and begins with a letter or digit',
    )
  if ((await store.list('points')).length >= MAX_NAMED_POINTS)
    throw usage(`an archive has at most ${MAX_NAMED_POINTS} named positions: forget one`)
  const isNew = await writeNote(store, `points/${name}.json`, { incarnation, txid, namedMs })
  if (isNew) return true
  const known = (await namedPoints(store)).find((each) => each.name === name)
  if (known?.incarnation !== incarnation || known.txid !== txid)
    throw usage(
      `another position has the name ${name} (txid ${known?.txid ?? 'unknown'}): take another ` +
        `name, or "walcast backups forget ${name}" first`,
    )
  return false
}

/**
 * `onBad` hears of those that cannot be read. Without it, throws ARCHIVE_BROKEN for the first one:
 * what it holds is not known then.
 */
export async function namedPoints(
  store: Store,
  onBad?: (name: string, error: WalcastError) => void,
): Promise<readonly NamedPoint[]> {
  const found: NamedPoint[] = []
  for (const object of await store.list('points'))
    try {
      found.push(...(await pointOf(store, object.name)))
    } catch (error) {
      const isBad = error instanceof WalcastError && error.key === 'ARCHIVE_BROKEN'
      if (!isBad || !onBad) throw error
      onBad(object.name, error)
    }
  return found
}

/** The one with this name. Throws POSITION_NOT_ARCHIVED, and what the store throws. */
export async function pointNamed(store: Store, name: string): Promise<NamedPoint> {
  // One that cannot be read hides no others.
  const points = await namedPoints(store, () => {})
  const found = points.find((point) => point.name === name)
  if (found) return found
  const names = points.map((point) => point.name).join(', ')
  throw new WalcastError('POSITION_NOT_ARCHIVED', {
    wanted: `position with the name ${plainText(name, MAX_SHOWN_CHARS)}`,
    nearest: names === '' ? 'it has no named positions' : `it has ${names}`,
  })
}

/** None when it was removed meanwhile. Throws ARCHIVE_BROKEN. */
async function pointOf(store: Store, object: string): Promise<NamedPoint[]> {
  const [, name] = OBJECT.exec(object) ?? []
  const note = await readNote(store, object)
  if (!note) return []
  const point = pointIn(note)
  if (name === undefined || !point)
    throw new WalcastError('ARCHIVE_BROKEN', { name: object, detail: 'it has no position' })
  return [{ ...point, name }]
}

/**
 * False when there is none, also of a name that no position can have. One that cannot be read goes
 * too: it keeps retention from removing anything.
 */
export async function forgetPoint(store: Store, name: string): Promise<boolean> {
  const object = `points/${name}.json`
  const isThere = NAME.test(name) && (await store.list('points')).some((it) => it.name === object)
  if (isThere) await store.remove(object)
  return isThere
}

/** Whether `note` is a position that may have this name of an object. */
export function isPoint(name: string, note: object): boolean {
  const [, point] = OBJECT.exec(name) ?? []
  const { incarnation, txid, namedMs, ...rest } = note as Readonly<Record<string, unknown>>
  const isOne = pointIn({ incarnation, txid, namedMs }) && Object.keys(rest).length === 0
  return point !== undefined && NAME.test(point) && isOne === true
}

function pointIn(note: Readonly<Record<string, unknown>>): Omit<NamedPoint, 'name'> | undefined {
  const { incarnation, txid, namedMs } = note
  const isPoint =
    incarnationField.accepts(incarnation) && counted.accepts(txid) && typeof namedMs === 'number'
  return isPoint ? { incarnation, txid, namedMs } : undefined
}

function usage(detail: string): WalcastError {
  return new WalcastError('USAGE', { detail })
}
