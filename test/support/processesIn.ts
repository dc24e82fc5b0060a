/** Processes that use a folder, whoever started them. */
import { readdirSync, readFileSync } from 'node:fs'

/** Command lines, joined by spaces, of all other processes that name something in `folder`. */
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
    // Ended meanwhile.
    return ''
  }
}

/**
 * Whether it runs or is stopped. A zombie, which has ended and was not waited for, does not count.
 */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
  } catch {
    return false
  }
}
