/**
 * What is wrong with values that are each of the right kind: too small to be meant, or in the wrong
 * order.
 */

import type { NodeOptions } from './nodeOptions.ts'
import { NODE_OPTIONS } from './options.ts'
import { parseValue } from './optionValues.ts'

/** Of the smallest pages, 512 bytes: https://sqlite.org/fileformat2.html#wal_file_format. */
const LEAST_FRAME_BYTES = 24 + 512

/** One text for each; empty when all is well. */
export function optionProblems(options: NodeOptions): string[] {
  return [...tooSmall(options), ...inWrongOrder(options)]
}

function tooSmall(options: NodeOptions): string[] {
  return NODE_OPTIONS.flatMap(({ key, flag, kind, least, zeroIsOff }) => {
    const value = options[key]
    if (least === undefined || typeof value !== 'number' || (zeroIsOff && value === 0)) return []
    if (value >= Number(parseValue(flag, kind, least))) return []
    const off = zeroIsOff ? ', or 0 to turn it off' : ''
    const unit = kind === 'bytes' ? ' bytes' : ''
    return [`--${flag} wants at least ${least}${off}, not ${value}${unit}`]
  })
}

/**
 * How large a frame is tells only the database: what is refused here is wrong whatever its page
 * size is.
 */
function inWrongOrder({ softWalFrames, hardWalFrames, maxWalBytes }: NodeOptions): string[] {
  const problems: string[] = []
  if (softWalFrames > hardWalFrames)
    problems.push(`--soft-wal ${softWalFrames} is above --hard-wal ${hardWalFrames}`)
  if (hardWalFrames * LEAST_FRAME_BYTES > maxWalBytes)
    problems.push(`--hard-wal ${hardWalFrames} (frames) is above --max-wal ${maxWalBytes} (bytes)`)
  return problems
}
