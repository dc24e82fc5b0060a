/** The rows that a node has kept aside, as status tells them in either role. */
import { formatPosition } from '../../proto/position.ts'
import type { DatabaseStatus } from '../api/databaseStatus.ts'
import type { Kept } from '../replica/diverged/keptFolder.ts'

export function keptStatus(kept: readonly Kept[]): Pick<DatabaseStatus, 'diverged'> {
  if (kept.length === 0) return {}
  const diverged = kept.map(
    ({ name, about: { kind, at, epoch, txid, reason, state, rows, detail, isDamaged } }) => {
      const position = formatPosition({ epoch, txid })
      const found = {
        ...(rows ? { rows } : {}),
        ...(detail ? { detail } : {}),
        ...(isDamaged ? { isDamaged } : {}),
      }
      return { name, kind, at, position, reason, state, ...found }
    },
  )
  return { diverged }
}
