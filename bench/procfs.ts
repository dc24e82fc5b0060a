/** What Linux says about a process: memory and CPU time. All 0 when the process is gone. */
import { readdirSync, readFileSync } from 'node:fs'

export interface Memory {
  readonly rssBytes: number
  readonly peakRssBytes: number
}

export function memoryOf(pid: number): Memory {
  const status = read(`/proc/${pid}/status`)
  const kilobytes = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
  return { rssBytes: kilobytes('VmRSS') * 1024, peakRssBytes: kilobytes('VmHWM') * 1024 }
}

/** CPU time of all threads that live now, in milliseconds, from the scheduler (nanoseconds, not ticks). */
export function cpuMsOf(pid: number): number {
  let ns = 0
  for (const task of list(`/proc/${pid}/task`)) {
    ns += Number(read(`/proc/${pid}/task/${task}/schedstat`).split(' ')[0] || 0)
  }
  return ns / 1e6
}

/** utime + stime of /proc/PID/stat in clock ticks (normally 100 a second). */
export function cpuTicksOf(pid: number): number {
  const fields = read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? []
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0)
}

/** Watches the memory of some processes until `stop`, which gives the largest RSS of each in bytes. */
export function watchMemory(pids: readonly number[], everyMs = 20): { stop(): number[] } {
  const largest = pids.map(() => 0)
  const look = () =>
    pids.forEach((pid, i) => {
      largest[i] = Math.max(largest[i], memoryOf(pid).rssBytes)
    })
  look()
  const timer = setInterval(look, everyMs)
  return {
    stop() {
      clearInterval(timer)
      look()
      return largest
    },
  }
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
