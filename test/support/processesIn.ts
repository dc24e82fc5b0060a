/** Processes that have to do with a folder, whoever started them. */
import { readdirSync, readFileSync } from 'node:fs'

/**
 * Command lines, the arguments apart by a space, of all processes but this one that name something
 * in `folder`.
 */
export function processesIn(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .map(commandLineOf)
    .filter((line) => line.includes(`${folder}/`))
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
  } catch {
    // It has ended meanwhile.
    return ''
  }
}

/**
 * Whether it runs or is stopped: one that has ended and that nobody has asked for its end does not.
 */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
  } catch {
    return false
  }
}
