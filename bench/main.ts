/** `npm run bench -- SUITE [options]`: runs one suite, prints a table or JSON, and keeps the result in bench/results. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { busyPercent, describeCommit, describeMachine } from './machine.ts'
import { type BenchOptions, helpText, parseOptions, type SuiteName, UsageError } from './options.ts'
import { Processes } from './processes.ts'
import type { Suite } from './suite.ts'
import { apply } from './suites/apply.ts'
import { copy } from './suites/copy.ts'
import { idle } from './suites/idle.ts'
import { lag } from './suites/lag.ts'
import { throughput } from './suites/throughput.ts'
import { renderTable } from './table.ts'
import { walcast } from './walcast.ts'

const SUITES: Readonly<Record<SuiteName, Suite>> = { lag, throughput, copy, apply, idle }
/** CPU taken by others from which on a warning is given. */
const BUSY_PERCENT = 10
const ROOT = resolve(import.meta.dirname, '../..')

async function run(options: BenchOptions): Promise<void> {
  const processes = new Processes()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  const suite = SUITES[options.suite]
  const progress = (text: string) => void process.stderr.write(`${text}\n`)
  const busyBeforePercent = await busyPercent()
  if (busyBeforePercent > BUSY_PERCENT)
    progress(`warning: something else takes ${busyBeforePercent} % of a core already`)
  try {
    const rows = await suite.run({ root: ROOT, options, processes, system: walcast, progress })
    const machine = { ...describeMachine(), busyBeforePercent, busyAfterPercent: await busyPercent() }
    const result = { suite: options.suite, machine, commit: describeCommit(ROOT), rows }
    const json = JSON.stringify(result, null, 2)
    mkdirSync(join(ROOT, 'bench/results'), { recursive: true })
    writeFileSync(join(ROOT, `bench/results/${options.suite}.json`), `${json}\n`)
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`)
    else
      process.stdout.write(`${describe(machine, result.commit)}\n\n${renderTable(rows)}\n\n${suite.note}\n`)
  } finally {
    await processes.close()
  }
}

function describe(machine: object, commit: string): string {
  return [`commit ${commit}`, ...Object.entries(machine).map((entry) => entry.join(' '))].join(', ')
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (options === 'help') process.stdout.write(helpText())
  else await run(options)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
