/**
 * What a database of many gigabytes costs: starts, copies, comparisons, one huge transaction, and a
 * replica that stands still.
 *
 * `--parts` says what is measured. `start`, `copy`, `restart` and `difference` have a database of
 * `--gb` of rows that fill a page each; `transaction` and `stopped` have one of `--transaction-gb`.
 * The suite looks at the room on the disk first: twice `--gb`, five times `--transaction-gb`. Each
 * part removes what it made.
 *
 * Every start is a fresh process. RSS is `VmHWM`, set back where a process is measured again
 * (`/proc/PID/clear_refs`); shared pages of the Node executable are in it. Files come from the page
 * cache where they fit into memory: the first read of a cold disk is not in any of this. MB/s and
 * shares are of 10^6 bytes.
 *
 * largeCopies.ts says how the parts `start`, `copy`, `restart` and `difference` are measured,
 * largeWrites.ts how `transaction` and `stopped`.
 */
import { spread } from '../arithmetic.ts'
import { requireDiskSpace } from '../diskSpace.ts'
import type { BenchOptions, LargePart } from '../options.ts'
import type { Row } from '../result.ts'
import type { Context, Suite } from '../suite.ts'
import { walcast } from '../systems/walcast.ts'
import type { LargeCase } from './largeCase.ts'
import { measureCopies } from './largeCopies.ts'
import { measureStopped, measureTransactions } from './largeWrites.ts'

/**
 * Copies of a database that are on the disk at once, with the WALs and what SQLite makes beside it.
 */
const COPIES: Readonly<Record<LargePart, number>> = {
  start: 1,
  copy: 2,
  restart: 2,
  difference: 2,
  transaction: 5,
  stopped: 3,
}

/** What a writer at full speed adds to them. */
const WRITTEN_GB = 3
const OF_SMALLER: readonly LargePart[] = ['transaction', 'stopped']

export const large: Suite = {
  note:
    'RSS: the largest during what is measured. ' +
    'start: from the start of the process until /readyz says 200; ' +
    'newEpoch: whether replicas have to compare. ' +
    "copy, restart, difference: from the start of the replica's process until it is level. " +
    'difference: 100 rows changed while no node ran; ' +
    'leaderSentMb and replicaSentMb: what went each way over TCP, ' +
    'ofFilePercent: both by the file. ' +
    'transaction: seconds from the begin of one transaction that changes every page until the ' +
    'replica has it. stopped: a replica stands still while a writer is at full speed: what ' +
    'the leader and another replica show of it; ' +
    'level again: from SIGCONT, with no writer beside it.',
  hasPeers: false,
  async run(context) {
    const { options, processes } = context
    const cure = '--gb, --transaction-gb and --parts make it less, TMPDIR chooses another disk'
    await requireDiskSpace(processes.folder, bytesFor(options), cure)
    const rows: Row[] = []
    for (const pin of options.pins) {
      processes.pinning = pin.pinning
      const rounds: LargeCase[][] = []
      for (let i = 1; i <= options.rounds; i++) {
        const tell = (what: string) =>
          context.progress(`large: ${what}, pin ${pin.text}, round ${i}`)
        rounds.push(await measure({ ...context, progress: tell }))
      }
      rows.push(
        ...rounds[0].map((_, at) =>
          toRow(
            pin.text,
            rounds.map((round) => round[at]),
          ),
        ),
      )
    }
    return rows
  },
}

/** What is on the disk at most. */
export function bytesFor({
  parts,
  databaseGb,
  transactionGb,
}: Pick<BenchOptions, 'parts' | 'databaseGb' | 'transactionGb'>): number {
  const gbOf = (part: LargePart) =>
    COPIES[part] * (OF_SMALLER.includes(part) ? transactionGb : databaseGb) +
    (part === 'stopped' ? WRITTEN_GB : 0)
  return 1e9 * Math.max(...parts.map(gbOf))
}

/** One part after the other, each on a database of its own but for those that copy the same. */
async function measure(context: Context): Promise<LargeCase[]> {
  const { parts } = context.options
  return [
    ...(parts.some((part) => !OF_SMALLER.includes(part)) ? await measureCopies(context) : []),
    ...(parts.includes('transaction') ? await measureTransactions(context) : []),
    ...(parts.includes('stopped') ? await measureStopped(context) : []),
  ]
}

function toRow(pin: string, rounds: readonly LargeCase[]): Row {
  const [first] = rounds
  const names = Object.keys(first.figures)
  const figures = names.map((name) => [name, spread(rounds.map((round) => round.figures[name]))])
  return {
    ...{ system: walcast.name, part: first.part, case: first.case, pin, rounds: rounds.length },
    ...Object.fromEntries(figures),
    // A leader alone has no replica to compare with.
    identical: first.part === 'start' ? null : true,
  }
}
