/** Runs a drill in a process of its own. */
import { isErrorCode, WalcastError } from '../../errors.ts'
import { type Answer, askProgram } from '../../platform/childProgram.ts'
import { makeFolder } from '../../platform/fileOps.ts'
import { rmSync } from '../../platform/files.ts'
import type { DrillAnswer, DrillOrder } from './drillOrder.ts'

const ENDED = { ended: 'DRILL_ENDED' } as const

/**
 * Makes the folder of the order, and removes it at the end. Rejects with STOPPING once `signal`
 * aborts: nothing of the drill is left then. Throws DRILL_ENDED when the process gives no answer.
 */
export async function runDrill(order: DrillOrder, signal: AbortSignal): Promise<DrillAnswer> {
  clearFolder(order.folder)
  makeFolder(order.folder)
  try {
    const answer = answerIn(await askProgram('backup/drill/drillProgram', order, signal, ENDED))
    if (answer) return answer
    throw new WalcastError('DRILL_ENDED', { detail: 'it gave another answer' })
  } finally {
    clearFolder(order.folder)
  }
}

/** What an interrupted drill has left. */
export function clearFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

function answerIn({ kind, bytes, code, message }: Answer): DrillAnswer | undefined {
  if ((kind === 'proven' || kind === 'checked') && typeof bytes === 'number') return { kind, bytes }
  if (kind !== 'failed' || typeof code !== 'string' || typeof message !== 'string') return undefined
  return isErrorCode(code) ? { kind, code, message } : undefined
}
