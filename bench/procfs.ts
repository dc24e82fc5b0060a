/** What Linux says about a process: memory and CPU time. All 0 when the process is gone. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

export interface Memory {
  readonly rssBytes: number
  readonly peakRssBytes: number
}

export function memoryOf(pid: number): Memory {
  const status = read(`/proc/${pid}/status`)
  const kilobytes = (key: string) =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
  return { rssBytes: kilobytes('VmRSS') * 1024, peakRssBytes: kilobytes('VmHWM') * 1024 }
}

/**
 * Restarts the count of the largest RSS. False where that is not allowed: the count then covers the
 * whole life of the process.
 */
export function resetPeakRss(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
    return true
  } catch {
    return false
  }
}

const MS_PER_TICK = 10

/**
 * CPU time of a process in milliseconds: of its threads that live now, from the scheduler's
 * nanoseconds; of a process with children, with theirs and with those that it has reaped, in clock
 * ticks.
 */
export function cpuMsOf(pid: number): number {
  const tasks = list(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}`)
  if (tasks.some((task) => read(`${task}/children`))) return MS_PER_TICK * ticksOfTree(pid)
  return tasks.reduce(
    (sum, task) => sum + Number(read(`${task}/schedstat`).split(' ')[0] || 0) / 1e6,
    0,
  )
}

function ticksOfTree(pid: number): number {
  const children = list(`/proc/${pid}/task`).flatMap((task) =>
    read(`/proc/${pid}/task/${task}/children`).split(' ').filter(Boolean),
  )
  return children.reduce((sum, child) => sum + ticksOfTree(Number(child)), cpuTicksOf(pid, true))
}

/**
 * utime + stime of /proc/PID/stat in clock ticks (normally 100 a second), with those of reaped
 * children if wanted.
 */
export function cpuTicksOf(pid: number, withReaped = false): number {
  const fields = read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? []
  return fields.slice(11, withReaped ? 15 : 13).reduce((sum, field) => sum + Number(field), 0)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
