/**
 * What a node draws and writes down each time it begins to lead in a process: no copied file brings
 * it back.
 */
import type { Incarnation, Standing } from '../../proto/lineage.ts'
import { randomBytes } from '../platform/random.ts'

/** An id: 16 hex digits. */
export function newIncarnation(): string {
  return randomBytes(8).toString('hex')
}

/**
 * The incarnation that begins with the state at `follows`; NOWHERE when it is not known what it
 * follows from, and that proves nothing.
 */
export function incarnationAfter(
  { incarnation: after, epoch: afterEpoch, txid }: Standing,
  begins: Pick<Incarnation, 'id' | 'epoch' | 'leader' | 'exact'>,
): Incarnation {
  return { ...begins, after, afterEpoch, txid, exact: begins.exact && after !== '' }
}
