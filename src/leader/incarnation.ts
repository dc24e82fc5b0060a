/**
 * A node draws an incarnation and writes it down each time it begins to lead in a process. No
 * copied file brings an old one back.
 */
import type { Incarnation, Standing } from '../../proto/lineage.ts'
import { randomBytes } from '../platform/random.ts'

/** An id: 16 hex digits. */
export function newIncarnation(): string {
  return randomBytes(8).toString('hex')
}

/**
 * The incarnation that begins with the state at `follows`. NOWHERE says that the state before is
 * unknown: then nothing is proven.
 */
export function incarnationAfter(
  { incarnation: after, epoch: afterEpoch, txid }: Standing,
  begins: Pick<Incarnation, 'id' | 'epoch' | 'leader' | 'exact'>,
): Incarnation {
  return { ...begins, after, afterEpoch, txid, exact: begins.exact && after !== '' }
}
