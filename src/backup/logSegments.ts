/** The files of a log of batches. */
import { join } from 'node:path'
import { constants, lstatSync, openSync, readdirSync, statSync } from '../platform/files.ts'

const { O_RDONLY, O_NOFOLLOW } = constants
const NAME = /^(\d{12})\.log$/

export interface Segment {
  readonly number: number
  bytes: number
}

/** Undefined when it is gone, or is no file. */
export function openLog(path: string): number | undefined {
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
    }))
}
