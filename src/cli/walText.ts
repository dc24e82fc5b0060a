/** What `walcast wal` prints for a person. Pure. */
import { sizeText } from '../health/causeText.ts'
import { frameBytes } from '../sqlite/walFormat.ts'
import type { WalIndexHeader } from '../sqlite/walIndexFormat.ts'
import type { WalIndexView } from '../sqlite/walIndexView.ts'
import type {
  EndView,
  FrameView,
  RemainsView,
  TransactionView,
  WalHeaderView,
} from '../sqlite/walScan.ts'
import { lines } from './queryCommand.ts'
import { table } from './table.ts'
import { FULL_LOOK, type Look } from './terminalLook.ts'

interface FileView {
  readonly path: string
  readonly bytes: number
}

export interface LockView {
  readonly pid: number
  readonly process: string
  readonly exclusive: boolean
  /** Of the lock bytes of the wal-index. */
  readonly names: readonly string[]
}

export interface WalReport {
  readonly database:
    | (FileView & { readonly pageSize?: number; readonly isWalMode?: boolean })
    | undefined
  readonly wal: FileView | undefined
  readonly shm: FileView | undefined
  readonly header: WalHeaderView | undefined
  readonly end: EndView | undefined
  /** Last frame up to the published end that verifies; undefined when nothing is published. */
  readonly reached: number | undefined
  /** Another generation began while it was read. */
  readonly hasStartedOver: boolean
  readonly remains: RemainsView | undefined
  readonly index: WalIndexView | undefined
  readonly locks: readonly LockView[] | undefined
  readonly openBy: readonly Omit<LockView, 'names'>[] | undefined
  readonly seesEveryLock: boolean
}

type Pairs = readonly (readonly [string, string])[]

/**
 * Whether SQLite would miss something: a WAL has bytes and no valid header, or the wal-index
 * publishes frames of this generation that do not verify.
 */
export function isDamaged(report: WalReport): boolean {
  const { wal, header, index, reached, hasStartedOver } = report
  if (wal && wal.bytes > 0 && !header?.header) return true
  const published = publishedFrames(header, index) ?? 0
  return !hasStartedOver && published > (reached ?? 0)
}

export function walText(
  report: WalReport,
  last: readonly TransactionView[],
  look: Look = FULL_LOOK,
): string {
  const pairs = [
    ...filePairs(report),
    ...headerPairs(report),
    ...framePairs(report),
    ...indexPairs(report),
    ...lockPairs(report),
  ]
  const text = lines(pairs, look)
  const pageSize = report.header?.header?.pageSize
  return last.length > 0 && pageSize !== undefined
    ? `${text}\n${transactions(last, pageSize)}`
    : text
}

export function frameLine({ frame, page, commitPages }: FrameView): string {
  const end = commitPages > 0 ? `  commit, database of ${commitPages} pages` : ''
  return `frame ${frame}  page ${page}${end}\n`
}

function filePairs({ database, wal, shm }: WalReport): Pairs {
  const pairs: [string, string][] = []
  if (database) pairs.push(['database', `${database.path}, ${databaseText(database)}`])
  if (!wal && !shm) pairs.push(['wal', 'none: there is neither a -wal nor a -shm file'])
  if (wal) pairs.push(['wal', `${wal.path}, ${sizeText(wal.bytes)}`])
  return pairs
}

function databaseText({ bytes, pageSize, isWalMode }: NonNullable<WalReport['database']>): string {
  if (pageSize === undefined) return `${sizeText(bytes)}, without the header of a database`
  const mode = isWalMode ? 'WAL mode' : 'not in WAL mode'
  return `${sizeText(bytes)}, pages of ${pageSize} bytes, ${mode}`
}

function headerPairs({ wal, header }: WalReport): Pairs {
  if (!wal) return []
  if (!header)
    return [['header', wal.bytes === 0 ? 'none: the WAL is empty' : 'none: the file is too short']]
  const { magic, version, pageSize, checkpointSequence, checksumOrder, isChecksumRight } = header
  const what = header.header
    ? `valid, version ${version}, pages of ${pageSize} bytes, checkpoint ${checkpointSequence}`
    : `NOT VALID: magic ${hex(magic)}, version ${version}, page size ${pageSize}`
  return [
    ['header', what],
    ['salts', saltText(header.salts)],
    ['checksums', `${checksumOrder}-endian, that of the header ${rightText(isChecksumRight)}`],
  ]
}

function framePairs(report: WalReport): Pairs {
  const { end, remains, header, index, hasStartedOver } = report
  if (!end || !header) return []
  const { lastValid, lastCommit, transactions } = end
  const pairs: (readonly [string, string])[] = []
  const open =
    lastValid > lastCommit
      ? `, then ${countOf(lastValid - lastCommit, 'frame')} without a commit`
      : ''
  const bytes = sizeText(lastCommit * frameBytes(header.pageSize))
  pairs.push([
    'frames',
    lastValid === 0
      ? 'none is valid'
      : `1 to ${lastValid} are valid: ${countOf(transactions, 'transaction')} to frame ` +
        `${lastCommit} (${bytes})${open}`,
  ])
  if (hasStartedOver) pairs.push(['', 'the WAL started over while it was read: run this again'])
  const published = publishedFrames(header, index)
  if (published !== undefined) pairs.push(['published', publishedText(published, report, end)])
  if (remains) pairs.push(...remainPairs(remains))
  return pairs
}

function publishedText(published: number, report: WalReport, end: EndView): string {
  const to = published === 0 ? 'no frame' : `to frame ${published}`
  if (isDamaged(report)) return `${to}: DAMAGED, frame ${(report.reached ?? 0) + 1} does not verify`
  if (published > end.lastCommit) return `${to}: some came while this was read`
  return published < end.lastCommit
    ? `${to}: the transactions behind it were written and no reader sees them`
    : to
}

function remainPairs({ frames, bytes, runs, moreRuns }: RemainsView): Pairs {
  const behind = bytes > 0 ? ` and ${countOf(bytes, 'byte')} of a frame` : ''
  if (frames === 0 && bytes === 0) return [['behind them', 'nothing']]
  const lines = runs.map(({ kind, first, last, salts }) => {
    const range = first === last ? `frame ${first}` : `frames ${first} to ${last}`
    const why = {
      'other salts': `left over from the generation ${saltText(salts)}`,
      'no checksum': 'without salts and checksum',
      'wrong checksum': 'of these salts, with a checksum that does not follow',
    }[kind]
    return ['', `${range}: ${why}`] as const
  })
  const more = moreRuns > 0 ? [['', `and ${moreRuns} more such runs`] as const] : []
  return [['behind them', `${countOf(frames, 'frame')}${behind}`], ...lines, ...more]
}

function indexPairs({ shm, index, header }: WalReport): Pairs {
  if (!shm) return []
  const file: Pairs = [['wal-index', `${shm.path}, ${sizeText(shm.bytes)}`]]
  if (!index) return [...file, ['', 'too short for a header']]
  const [first, second] = index.copies
  const copies: Pairs = index.areCopiesEqual
    ? [['both copies', copyText(first, header)]]
    : [
        ['copy 1', copyText(first, header)],
        ['copy 2', `${copyText(second, header)} (a writer is between the two, or died there)`],
      ]
  const attempted =
    index.backfillAttempted > index.backfilled
      ? `, a checkpoint was on its way to frame ${index.backfillAttempted}`
      : ''
  return [
    ...file,
    ...copies,
    ['backfilled', `to frame ${index.backfilled}${attempted}`],
    ['read marks', index.readMarks.map((mark, i) => `READ${i} ${mark ?? 'unused'}`).join(', ')],
  ]
}

function copyText(copy: WalIndexHeader | undefined, header: WalHeaderView | undefined): string {
  if (!copy) return 'not valid: never written, or its checksum is wrong'
  const { mxFrame, pages, pageSize, change, salt1, salt2, frameChecksum } = copy
  const isSame = header?.salts[0] === salt1 && header.salts[1] === salt2
  const next = mxFrame === 0 ? 'it will start over' : 'another generation'
  const whose = !header
    ? saltText([salt1, salt2])
    : isSame
      ? 'salts of this WAL'
      : `other salts: ${saltText([salt1, salt2])}, ${next}`
  const sum = `checksum ${hex(frameChecksum.s0)} ${hex(frameChecksum.s1)}`
  return `frame ${mxFrame}, ${pages} pages of ${pageSize} bytes, change ${change}, ${whose}, ${sum}`
}

function lockPairs({ shm, locks, openBy, seesEveryLock, database }: WalReport): Pairs {
  if (!shm && !database) return []
  if (!locks && !openBy) return [['locks', 'this system does not tell']]
  const held = (locks ?? [])
    .map((lock) => ({ ...lock, names: lock.names.filter((name) => name !== 'OPEN') }))
    .filter(({ names }) => names.length > 0)
    .map(
      (lock) =>
        `${lock.names.join('+')} ${lock.exclusive ? 'exclusive' : 'shared'} by ${who(lock)}`,
    )
  const limits = seesEveryLock ? '' : ' (those of other containers are not seen)'
  return [
    ['locks', `${held.join(', ') || 'none'}${limits}`],
    ['open by', openBy?.map(who).join(', ') || 'no process that is seen'],
  ]
}

function who({ pid, process }: Pick<LockView, 'pid' | 'process'>): string {
  return pid > 0 ? `${process} ${pid}` : 'a process elsewhere'
}

function transactions(last: readonly TransactionView[], pageSize: number): string {
  return table(
    ['transaction', 'frames', 'count', 'size', 'database after'],
    last.map(({ number, first, last: end, databasePages }) => [
      String(number),
      `${first}-${end}`,
      String(end - first + 1),
      sizeText((end - first + 1) * pageSize),
      `${databasePages} pages`,
    ]),
    FULL_LOOK,
  )
}

/** Undefined when the wal-index is not valid, or not of this WAL. */
export function publishedFrames(
  header: WalHeaderView | undefined,
  index: WalIndexView | undefined,
): number | undefined {
  const [copy] = index?.areCopiesEqual ? index.copies : []
  if (!copy || !header?.header) return undefined
  const isSame = copy.salt1 === header.salts[0] && copy.salt2 === header.salts[1]
  return isSame ? copy.mxFrame : undefined
}

function saltText([first, second]: readonly [number, number]): string {
  return `${hex(first)} ${hex(second)}`
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0')
}

function rightText(isRight: boolean): string {
  return isRight ? 'is right' : 'IS WRONG'
}

function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
