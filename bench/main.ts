/** `npm run bench -- SUITE [options]`: runs one suite, prints a table or JSON, and keeps the result in bench/results. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { busyPercent, describeCommit, describeMachine } from './machine.ts'
import { type BenchOptions, helpText, parseOptions, type SuiteName, UsageError } from './options.ts'
import { Processes } from './processes.ts'
import { type KeptResult, type KeptRow, keepable, type SuiteResult } from './result.ts'
import type { Suite } from './suite.ts'
import { apply } from './suites/apply.ts'
import { catchup } from './suites/catchup.ts'
import { idle } from './suites/idle.ts'
import { lag } from './suites/lag.ts'
import { throughput } from './suites/throughput.ts'
import { findPeers } from './systems/systems.ts'
import { walcast } from './systems/walcast.ts'
import { renderTable } from './table.ts'

const SUITES: Readonly<Record<SuiteName, Suite>> = { lag, throughput, catchup, apply, idle }
/** CPU taken by others from which on a warning is given. */
const BUSY_PERCENT = 10
const ROOT = resolve(import.meta.dirname, '../..')

const progress = (text: string) => void process.stderr.write(`${text}\n`)

async function run(options: BenchOptions): Promise<void> {
  const suite = SUITES[options.suite]
  if (options.peers.length > 0 && !suite.hasPeers)
    throw new UsageError(`--peers: ${options.suite} measures walcast only`)
  const peers = await findPeers(options.peers, progress)
  const processes = new Processes()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  const busyBeforePercent = await busyPercent()
  if (busyBeforePercent > BUSY_PERCENT)
    progress(`warning: something else takes ${busyBeforePercent} % of a core already`)
  try {
    const systems = [walcast, ...peers.systems]
    const context = { root: ROOT, options, processes, systems, skipped: peers.skipped, progress }
    const measured = await suite.run(context)
    const result: SuiteResult = 'rows' in measured ? measured : { rows: measured, ratios: {} }
    const machine = { ...describeMachine(), busyBeforePercent, busyAfterPercent: await busyPercent() }
    report(suite, options, result, {
      suite: options.suite,
      at: new Date().toISOString(),
      machine,
      commit: describeCommit(ROOT),
      rows: result.rows.map((row) => keepable(row) as KeptRow),
      ratios: keepable(result.ratios) as KeptResult['ratios'],
    })
  } finally {
    await processes.close()
  }
}

function report(suite: Suite, options: BenchOptions, measured: SuiteResult, kept: KeptResult): void {
  const folder = options.out || join(ROOT, 'bench/results')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${kept.suite}.json`), `${JSON.stringify(kept, null, 2)}\n`)
  if (options.json) {
    process.stdout.write(`${JSON.stringify(kept)}\n`)
    return
  }
  const measuredRows = measured.rows.filter((row) => !row['skipped'])
  const ratios = Object.keys(measured.ratios).length > 0 ? `${renderTable(ratioRows(measured))}\n\n` : ''
  process.stdout.write(`${describe(kept)}\n\n${renderTable(measuredRows)}\n\n${ratios}${suite.note}\n`)
}

const ratioRows = ({ ratios }: SuiteResult) => [{ system: 'ratio', ...ratios }]

function describe({ commit, machine }: KeptResult): string {
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
