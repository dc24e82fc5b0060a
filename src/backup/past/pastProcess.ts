/** Asks for the past of an archive in a process of its own. */
import { MAX_ROWS_CHARS } from '../../api/past.ts'
import { askForAnswer } from '../../platform/childProgram.ts'
import type { PastAnswers, PastOrder, RestoreNews } from './pastOrder.ts'

/** The names of columns come beside the rows. */
const MAX_ANSWER_CHARS = 2 * MAX_ROWS_CHARS
/** Beside what SQLite and the blocks of files take. */
const HEAP_MIB = 256

/**
 * Rejects with STOPPING once `signal` aborts: the process is gone then. Throws PAST_ENDED when it
 * gives no answer, and what it answers as an error.
 */
export function askPast<Kind extends PastOrder['kind']>(
  order: Extract<PastOrder, { readonly kind: Kind }>,
  signal: AbortSignal,
  onNews: (news: RestoreNews) => void = () => {},
): Promise<PastAnswers[Kind]> {
  return askForAnswer<PastAnswers[Kind]>('backup/past/pastProgram', order, signal, {
    maxChars: MAX_ANSWER_CHARS,
    heapMib: HEAP_MIB,
    ended: 'PAST_ENDED',
    onNews: ({ position, bytes, totalBytes }) =>
      onNews({
        position: String(position),
        bytes: Number(bytes),
        totalBytes: Number(totalBytes),
      }),
  })
}
