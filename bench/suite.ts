/** What suites share. */
import { join } from 'node:path'
import type { BenchOptions } from './options.ts'
import { type Child, type Processes, pause } from './processes.ts'
import { cpuMsOf } from './procfs.ts'
import type { Row, SuiteResult } from './result.ts'
import type { Program, RunningPrimary, Setup, System } from './system.ts'

export interface Context {
  readonly root: string
  readonly options: BenchOptions
  readonly processes: Processes
  /** What is measured: walcast first. */
  readonly systems: readonly System[]
  /** Systems that cannot run here, with the reason. */
  readonly skipped: ReadonlyMap<string, string>
  /** Tells a person what is running now. */
  progress(text: string): void
}

export interface Suite {
  /** What the numbers are, in a line or two under the table. */
  readonly note: string
  /** Whether it measures peers too. */
  readonly hasPeers: boolean
  run(context: Context): Promise<SuiteResult | Row[]>
}

/** A set-up in a folder of its own. */
export function newSetup(context: Context, replicas: number): Setup {
  const { processes, root, options } = context
  return { processes, root, folder: processes.newFolder(), replicas, nodeArgs: options.nodeArgs }
}

/** Starts one of the bench's programs and waits until it is ready to go. */
export async function startProgram(
  context: Context,
  name: string,
  program: Program,
): Promise<Child> {
  const { processes, root } = context
  const child = processes.start({
    name,
    file: process.execPath,
    args: [join(root, 'dist/bench', program.script), ...program.args],
  })
  await child.ready(30_000)
  return child
}

/**
 * Lets a paced writer do its warm-up, waits until its rows have arrived, and lets it go on, so that
 * a slow system's backlog is not measured as lag of later rows. A system with a timer has just
 * acted then, so `periodMs` adds a random wait of up to one period.
 */
export async function warmUp(
  writer: Child,
  maxSeconds: number,
  whenArrived: () => Promise<void>,
  periodMs = 0,
): Promise<void> {
  writer.go()
  await writer.says('warm', maxSeconds * 1000)
  await whenArrived()
  await pause(Math.random() * periodMs)
  writer.go()
}

/** Numbers that a program reports at its end. Throws when one is missing. */
export async function resultOf<Key extends string>(
  child: Child,
  timeoutMs: number,
  keys: readonly Key[],
): Promise<Readonly<Record<Key, number>>> {
  const result = Object(JSON.parse(await child.result(timeoutMs)))
  const entries = keys.map((key) => [key, Number(result[key])] as const)
  const missing = entries.find(([, value]) => Number.isNaN(value))
  if (missing) throw child.failure(`reported no ${missing[0]}`)
  return Object.fromEntries(entries) as Record<Key, number>
}

/** CPU of each node from now on: as percent of one core, and as time. */
export function watchCpu(running: RunningPrimary): { percents(): number[]; ms(): number[] } {
  const fromMs = performance.now()
  const before = running.nodes.map((node) => cpuMsOf(node.pid))
  const ms = () => running.nodes.map((node, i) => cpuMsOf(node.pid) - before[i])
  return {
    ms,
    percents() {
      const elapsedMs = performance.now() - fromMs
      return ms().map((each) => (100 * each) / elapsedMs)
    },
  }
}
