/** The files of a log of batches. */
import { join } from 'node:path'
import { writeError } from '../errors.ts'
import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  statSync,
} from '../platform/files.ts'
import { type BatchHead, HEAD_BYTES, parseHead } from './batchRecord.ts'
import { LogReader } from './logReader.ts'
import { SegmentSpans } from './segmentSpans.ts'

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
const OWN = 0o600
const NAME = /^(\d{12})\.log$/

export interface Segment {
  readonly number: number
  bytes: number
  readonly spans: SegmentSpans
}

/** A file that has nothing yet. */
export function newSegment(number: number): Segment {
  return { number, bytes: 0, spans: new SegmentSpans() }
}

/** Throws DISK_FULL or WRITE_FAILED. */
export function createLog(path: string): number {
  try {
    return openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, OWN)
  } catch (error) {
    throw writeError(path, error)
  }
}

interface LogRecord {
  /** Of the file, as long as the records are gone through. */
  readonly reader: LogReader
  readonly head: BatchHead
  /** Where the head begins, and where the message ends. */
  readonly offset: number
  readonly end: number
}

/** The whole records of a file from `from` on, up to `bytes`. */
export async function* recordsIn(
  path: string,
  bytes: number,
  from: number,
): AsyncGenerator<LogRecord> {
  const fd = from < bytes ? openLog(path) : undefined
  if (fd === undefined) return
  const reader = new LogReader(fd)
  try {
    for (let offset = from; offset + HEAD_BYTES <= bytes; ) {
      const head = parseHead(await reader.read(offset, HEAD_BYTES))
      const end = offset + HEAD_BYTES + (head?.bytes ?? 0)
      if (!head || end > bytes) return
      yield { reader, head, offset, end }
      offset = end
    }
  } finally {
    closeSync(fd)
  }
}

/** Undefined when it is gone, or is no file. */
function openLog(path: string): number | undefined {
  const about = lstatSync(path, { throwIfNoEntry: false })
  return about?.isFile() ? openSync(path, O_RDONLY | O_NOFOLLOW) : undefined
}

/** Where a file of the log is. */
export function pathIn(folder: string, number: number): string {
  return join(folder, `${String(number).padStart(12, '0')}.log`)
}

/** The files that are there, the oldest first. */
export function segmentsIn(folder: string): Segment[] {
  const numbers = readdirSync(folder).flatMap((name) => {
    const match = NAME.exec(name)
    return match ? [Number(match[1])] : []
  })
  return numbers
    .sort((a, b) => a - b)
    .map((number) => ({
      number,
      bytes: statSync(pathIn(folder, number)).size,
      spans: new SegmentSpans(),
    }))
}
