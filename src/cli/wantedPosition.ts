/** The flags that name one position of an archive. */
import { parsePosition } from '../../proto/position.ts'
import type { Wanted } from '../backup/restoreTarget.ts'
import { parseNumber } from '../options/optionValues.ts'
import { timeOf } from './pastArguments.ts'
import { usage } from './usage.ts'

export const POSITION_FLAGS = {
  at: { type: 'string' },
  txid: { type: 'string' },
  position: { type: 'string' },
  incarnation: { type: 'string' },
  cluster: { type: 'string' },
} as const

export type PositionFlags = { readonly [Flag in keyof typeof POSITION_FLAGS]?: string | undefined }

/** What POSITION_FLAGS are, for help; `columns`: of the flags beside it. */
export function positionHelp(columns: number): string {
  const wide = ' '.repeat(columns + 4)
  const lines = [
    ['--at TIME', 'the last one that was committed by then: "2026-11-29 14:02:07" (local'],
    ['', 'time), 2026-11-29T13:02:07Z, -6h or "6h ago"'],
    ['--txid N', 'the one with this transaction number'],
    ['--position EPOCH-TXID', 'the one that a node or a client calls so'],
    ['--incarnation ID', 'in the history that ends with this incarnation, not in the newest one'],
    ['--cluster ID', 'of this cluster, when PLACE has archives of several'],
  ]
  return lines
    .map(([flag, text]) => (flag === '' ? wide + text : `  ${flag.padEnd(columns)}  ${text}`))
    .join('\n')
}

/** Throws USAGE. */
export function wantedOf({ at, txid, position, incarnation, cluster }: PositionFlags): Wanted {
  if ([at, txid, position].filter((flag) => flag !== undefined).length > 1)
    throw usage('--at, --txid and --position exclude each other')
  const asked = { incarnation, cluster }
  if (at !== undefined) return { ...asked, atMs: timeOf('--at', at) }
  if (txid !== undefined) return { ...asked, txid: parseNumber('txid', txid) }
  if (position === undefined) return asked
  const parsed = parsePosition(position)
  if (!parsed) throw usage('--position wants EPOCH-TXID, as in 4-5133')
  return { ...asked, epoch: parsed.epoch, txid: parsed.txid }
}

/** The same with --point, the name of a position. Throws USAGE. */
export function wantedWithPoint(flags: PositionFlags, point: string | undefined): Wanted {
  const { at, txid, position, incarnation } = flags
  if (point !== undefined && [at, txid, position, incarnation].some((flag) => flag !== undefined))
    throw usage('--point and --at, --txid, --position and --incarnation exclude each other')
  return wantedOf(flags)
}
