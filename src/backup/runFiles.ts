/** Puts a run of batches into a place, as one archive file or several. */
import { formatArchiveName } from '../../proto/archiveNames.ts'
import { NO_STATE } from './archiveFileWriter.ts'
import type { BatchLog } from './batchLog.ts'
import { pageSizeAt, writeChanges } from './changesFile.ts'
import type { ChangesRun } from './changesRun.ts'
import { type FileMark, headerOf } from './fileHeader.ts'
import type { PlaceFile } from './placedFile.ts'

/** Gives the name of the last file. */
export async function storeRun(
  place: PlaceFile,
  log: BatchLog,
  { from, to, parts }: ChangesRun,
  mark: FileMark,
): Promise<string> {
  const pageSize = await pageSizeAt(log, parts[0])
  const header = headerOf(mark, { kind: 'changes', at: to, from, pageSize })
  let name = ''
  for (const [i, part] of parts.entries()) {
    const numbered = { part: i + 1, isLast: i === parts.length - 1 }
    name = formatArchiveName({ kind: 'changes', level: 0, from, to, ...numbered })
    const end = { txid: to.txid, checksum: part.isOpen ? NO_STATE : to.checksum }
    await place(name, end, (append) => writeChanges(log, part, header, mark.recipients, append))
  }
  return name
}
