/** Checks a dated snapshot in a process of its own. */
import { isErrorCode, WalcastError } from '../../errors.ts'
import { askProgram } from '../../platform/childProgram.ts'
import { makeFolder } from '../../platform/fileOps.ts'
import type { DatedCheckOrder } from './datedCheck.ts'
import { removeFolder } from './datedFolder.ts'

const ENDED = { ended: 'DRILL_ENDED' } as const

/**
 * Gives and throws what `checkDated` does; also throws STOPPING and DRILL_ENDED. Leaves nothing.
 */
export async function requireSoundDated(
  order: DatedCheckOrder,
  signal: AbortSignal,
): Promise<string> {
  // A check that was cut short may have left its database.
  await removeFolder(order.folder)
  makeFolder(order.folder)
  try {
    const answer = await askProgram('backup/dated/datedCheckProgram', order, signal, ENDED)
    const { kind, checksum, code, message } = answer
    if (kind === 'sound') return String(checksum)
    const key = typeof code === 'string' && isErrorCode(code) ? code : 'DRILL_ENDED'
    throw new WalcastError(key, { message: String(message), detail: String(message) })
  } finally {
    await removeFolder(order.folder)
  }
}
