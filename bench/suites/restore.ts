/**
 * What an archive costs, how old its newest position is, and how fast it gives a database back.
 *
 * `--parts` says what is measured:
 *
 * - `writer`, `lag` (archivingCost.ts): what archiving costs the writer and the readers of a
 *   replica, in rounds that alternate with the same nodes without an archive.
 * - `behind` (archiveBehind.ts): how far behind `restorable until` is while a writer goes on, in a
 *   folder and in S3 (s3rver, a server in a process of its own).
 * - `restore`, `at` (restoreTime.ts): a database of `--mb` and `--transactions` after its
 *   snapshot: `walcast restore` beside `cp` of the result, and `walcast at` in a cold process.
 * - `storage` (archiveSize.ts): what is kept after `--hours` of 20 commits a second.
 *
 * With `--peers litestream,postgres` those do the same where they can: Litestream 0.3 its replica
 * in a folder, PostgreSQL its pg_basebackup and pg_receivewal (backupPeers.ts).
 *
 * Defaults make a short run. The aims are for a large one:
 *
 *     npm run bench -- restore --mb 1000 --transactions 100000 --seconds 3 --warmup 1
 *         --peers litestream,postgres
 *
 * A quick look that everything works, without figures that mean anything:
 *
 *     npm run bench -- restore --rounds 1 --seconds 1 --warmup 0.5 --mb 10 --transactions 500
 *         --hours 0.05
 *
 * Columns that begin with `aim` have what the measured one beside them should reach. Every case
 * ends with a restore whose content is compared with the source's; where they differ the run fails.
 * Files come from the page cache where they fit into memory. MB and MB/s are of 10^6 bytes.
 */
import { requireDiskSpace } from '../diskSpace.ts'
import type { RestorePart } from '../options.ts'
import type { Row } from '../result.ts'
import type { Context, Suite } from '../suite.ts'
import { measureBehind } from './archiveBehind.ts'
import { measureStorage } from './archiveSize.ts'
import { measureLagCost, measureWriterCost } from './archivingCost.ts'
import { measurePeerRestores } from './backupPeers.ts'
import type { RestoreCase } from './restoreCase.ts'
import { measureRestores } from './restoreTime.ts'

/** Copies of the database at once, with archives of it and what peers make. */
const COPIES = 6
/** What a transaction leaves in the database, the WAL and the archives. */
const BYTES_OF_TRANSACTION = 40_000
const LEAST_BYTES = 3e9

type Measure = (context: Context) => Promise<readonly RestoreCase[]>

const MEASURES: readonly (readonly [readonly RestorePart[], Measure])[] = [
  [['writer'], measureWriterCost],
  [['lag'], measureLagCost],
  [['behind'], measureBehind],
  [['restore', 'at'], measureRestores],
  [['restore'], measurePeerRestores],
  [['storage'], measureStorage],
]

export const restore: Suite = {
  note:
    'writer: small commits at full speed; costPercent: by how much the archive lowers the rate, ' +
    'against the same nodes without it; ofAlone: rate by that of a writer alone; ' +
    'archiveCpuUs: what the archive adds to the CPU of all nodes for each commit; ' +
    'apart: the writer has a core for itself, all nodes share another. ' +
    'lag: p50 of a replica without and with the archive. ' +
    'behind: age of the oldest commit that a restore would not give, looked at every 10 ms. ' +
    'restore: seconds of the whole command; phases from one more run in one process: ' +
    'pagesMs: reading, unpacking, verifying and checksums, of which checksumMs and readMs are ' +
    'parts; aimSeconds: twice cp with sync, and changedMb at 300 MB/s. ' +
    'at: a query of one row by its key, each in a new process. ' +
    'storage: bytes kept by bytes of pages captured, and of WAL written.',
  hasPeers: true,
  async run(context) {
    const { options, processes } = context
    const bytes = COPIES * options.databaseMb * 1e6 + options.transactions * BYTES_OF_TRANSACTION
    const cure = '--mb, --transactions and --parts make it less, TMPDIR chooses another disk'
    await requireDiskSpace(processes.folder, LEAST_BYTES + bytes, cure)
    const cases: RestoreCase[] = []
    const [pin] = options.pins
    processes.pinning = pin.pinning
    for (const [parts, measure] of MEASURES) {
      if (!parts.some((part) => options.restoreParts.includes(part))) continue
      cases.push(...(await measure(context)))
    }
    return cases.map(toRow)
  },
}

function toRow({ system, part, case: name, figures, identical, skipped }: RestoreCase): Row {
  const about = { system, part, case: name }
  return { ...about, ...figures, identical, ...(skipped === undefined ? {} : { skipped }) }
}
