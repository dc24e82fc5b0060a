/** The rows that a node has kept aside, as status tells them in either role. */
import { formatPosition } from '../../proto/position.ts'
import type { DatabaseStatus, DivergedStatus } from '../api/databaseStatus.ts'
import type { Kept } from '../replica/diverged/keptFolder.ts'

export function keptStatus(kept: readonly Kept[]): Pick<DatabaseStatus, 'diverged'> {
  return kept.length === 0 ? {} : { diverged: kept.map(statusOfKept) }
}

export function statusOfKept({ name, about }: Kept): DivergedStatus {
  const { kind, at, epoch, txid, reason, state, rows, detail, isDamaged } = about
  const position = formatPosition({ epoch, txid })
  const found = {
    ...(rows ? { rows } : {}),
    ...(detail ? { detail } : {}),
    ...(isDamaged ? { isDamaged } : {}),
  }
  return { name, kind, at, position, reason, state, ...found }
}
