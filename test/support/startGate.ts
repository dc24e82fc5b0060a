/**
 * When the next test file of a run may start. Tests of real processes wait for much of their time,
 * others compute. One number of files at once leaves cores idle beside the first kind, and starves
 * the second kind. So more start while cores are idle.
 */
import { type CpuInfo, cpus } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'

/** What runs now. */
export interface Load {
  readonly running: number
  /** Whether one of them fails when it gets too little processor time. */
  readonly isStrict: boolean
  /** Cores that had nothing to do lately, as a sum: 0.5 is half of one core. */
  readonly idleCores: number
}

/** Below it a core counts as busy: a test file may need all of one. */
const IDLE_CORES = 0.4
/** Files at once for each core: memory bounds it, since each of them may run half a dozen nodes. */
const MOST_PER_CORE = 4
/** Files at once on any machine. */
const MOST = 16

/** Whether one more file may start on a machine with so many cores. */
export function mayStart({ running, isStrict, idleCores }: Load, cores: number): boolean {
  if (running < cores) return true
  if (isStrict || running >= Math.min(MOST, MOST_PER_CORE * cores)) return false
  return running === cores || idleCores >= IDLE_CORES
}

/** How many cores have nothing to do for `overMs`, as a sum. The wait keeps no process alive. */
export async function idleCores(overMs: number): Promise<number> {
  const [idleBefore, allBefore] = idleAndAll(cpus())
  await delay(overMs, undefined, { ref: false })
  const [idle, all] = idleAndAll(cpus())
  return all > allBefore ? ((idle - idleBefore) / (all - allBefore)) * cpus().length : 0
}

function idleAndAll(cores: readonly CpuInfo[]): readonly [idle: number, all: number] {
  const times = cores.map((core) => core.times)
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0)
  return [
    sum(times.map(({ idle }) => idle)),
    sum(times.map(({ idle, irq, nice, sys, user }) => idle + irq + nice + sys + user)),
  ]
}
