/**
 * `npm run bench -- SUITE|all|report [options]`: runs suites, prints tables or JSON, keeps the
 * results and makes their report.
 */
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isCheckout, resultFolder } from './checkout.ts'
import { busyPercent, describeCommit, describeMachine } from './machine.ts'
import {
  type BenchOptions,
  helpText,
  parseCommand,
  SUITE_NAMES,
  type SuiteName,
  UsageError,
} from './options.ts'
import { Processes } from './processes.ts'
import { goalsOf } from './report/goals.ts'
import { writeReport } from './report/report.ts'
import { type KeptResult, type KeptRow, keepable, type Row, type SuiteResult } from './result.ts'
import type { Suite } from './suite.ts'
import { apply } from './suites/apply.ts'
import { catchup } from './suites/catchup.ts'
import { consolePage } from './suites/console.ts'
import { failover } from './suites/failover.ts'
import { fanout } from './suites/fanout.ts'
import { floor } from './suites/floor.ts'
import { guest } from './suites/guest.ts'
import { http } from './suites/http.ts'
import { idle } from './suites/idle.ts'
import { lag } from './suites/lag.ts'
import { large } from './suites/large.ts'
import { network } from './suites/network.ts'
import { readers } from './suites/readers.ts'
import { restore } from './suites/restore.ts'
import { switchover } from './suites/switchover.ts'
import { throughput } from './suites/throughput.ts'
import { findPeers, requirePeerNames } from './systems/systems.ts'
import { walcast } from './systems/walcast.ts'
import { renderTable } from './table.ts'

const SUITES: Readonly<Record<SuiteName, Suite>> = {
  lag,
  throughput,
  catchup,
  apply,
  idle,
  floor,
  readers,
  network,
  http,
  fanout,
  large,
  switchover,
  failover,
  guest,
  restore,
  console: consolePage,
}
/** CPU of other processes above which a warning is given. */
const BUSY_PERCENT = 10
const ROOT = resolve(import.meta.dirname, '../..')

const progress = (text: string) => void process.stderr.write(`${text}\n`)

async function run(options: BenchOptions): Promise<void> {
  const suite = SUITES[options.suite]
  const folder = resultFolder(ROOT, options.out)
  mkdirSync(folder, { recursive: true })
  accessSync(folder, constants.W_OK)
  const peers = await findPeers(options.peers, progress)
  const processes = new Processes()
  const busyBeforePercent = await busyPercent()
  if (busyBeforePercent > BUSY_PERCENT)
    progress(`warning: something else takes ${busyBeforePercent} % of a core already`)
  try {
    const systems = [walcast, ...peers.systems]
    const context = { root: ROOT, options, processes, systems, skipped: peers.skipped, progress }
    const measured = await suite.run(context)
    const result: SuiteResult = 'rows' in measured ? measured : { rows: measured, ratios: {} }
    const machine = {
      ...describeMachine(),
      busyBeforePercent,
      busyAfterPercent: await busyPercent(),
    }
    keep(suite, options, result, {
      suite: options.suite,
      at: new Date().toISOString(),
      machine,
      commit: describeCommit(ROOT),
      settings: settingsOf(options),
      rows: result.rows.map((row) => keepable(row) as KeptRow),
      ratios: keepable(result.ratios) as KeptResult['ratios'],
    })
  } finally {
    await processes.close()
  }
}

function settingsOf({
  rounds,
  seconds,
  warmupSeconds,
  warmupPerSecond,
}: BenchOptions): NonNullable<KeptResult['settings']> {
  return { rounds, seconds, warmupSeconds, warmupPerSecond }
}

/**
 * Runs every suite of `all` in turn, then the report. A failed suite does not stop the others; it
 * throws at the end.
 */
async function runAll(all: readonly BenchOptions[], out: string): Promise<void> {
  for (const { peers } of all) requirePeerNames(peers)
  const failures: string[] = []
  for (const [i, options] of all.entries()) {
    progress(`suite ${i + 1} of ${all.length}: ${options.suite}`)
    try {
      await run({ ...options, peers: peersOf(options) })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      progress(`${options.suite} failed: ${message}`)
      failures.push(`${options.suite} failed: ${message.split('\n')[0]}`)
    }
  }
  makeReport(out)
  if (failures.length > 0) throw new Error(failures.join('\n'))
}

/** The peers asked for, else all that can be measured, for suites that take peers. */
function peersOf({ suite, peers }: BenchOptions): readonly string[] {
  if (!SUITES[suite].hasPeers) return []
  if (peers.length > 0) return peers
  return isCheckout(ROOT) ? ['all'] : []
}

/** The README shows the results of the standard folder and no others. */
function makeReport(out: string): void {
  writeReport({
    folder: resultFolder(ROOT, out),
    notes: new Map(SUITE_NAMES.map((name) => [name, SUITES[name].note])),
    ...(isCheckout(ROOT) && out === '' ? { readme: join(ROOT, 'README.md') } : {}),
    progress,
  })
}

function keep(suite: Suite, options: BenchOptions, measured: SuiteResult, kept: KeptResult): void {
  const folder = resultFolder(ROOT, options.out)
  writeFileSync(join(folder, `${kept.suite}.json`), `${JSON.stringify(kept, null, 2)}\n`)
  if (options.json) {
    process.stdout.write(`${JSON.stringify(kept)}\n`)
    return
  }
  const measuredRows = measured.rows.filter((row) => !row['skipped'])
  const ratios =
    Object.keys(measured.ratios).length > 0 ? `${renderTable(ratioRows(measured))}\n\n` : ''
  const skipped = measured.rows
    .filter((row) => row['skipped'])
    .map((row) => `skipped: ${skippedText(row)}\n`)
  const goals = goalsOf([kept]).map(
    ({ goal, result, isMet }) => `goal: ${goal}: ${result}, ${isMet ? 'met' : 'not met'}\n`,
  )
  const below = [ratios, ...skipped, ...goals, suite.note].join('')
  const parts = [describe(kept), renderTable(measuredRows), below]
  process.stdout.write(`${parts.join('\n\n')}\n`)
}

/** What distinguishes a row that was skipped, and why it was. */
function skippedText({ skipped, ...row }: Row): string {
  const cells = Object.entries(row).filter(
    ([, value]) => value !== null && value !== undefined && value !== 0,
  )
  const texts = cells.map(([name, value]) => (name === 'system' ? value : `${name} ${value}`))
  return `${texts.join(', ')}: ${skipped}`
}

const ratioRows = ({ ratios }: SuiteResult) => [{ system: 'ratio', ...ratios }]

function describe({ commit, machine }: KeptResult): string {
  return [`commit ${commit}`, ...Object.entries(machine).map((entry) => entry.join(' '))].join(', ')
}

// If the terminal that started the bench goes away, the nodes must not stay.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => process.exit(1))

try {
  const command = parseCommand(process.argv.slice(2))
  if (command.kind === 'help') process.stdout.write(helpText())
  else if (command.kind === 'report') makeReport(command.out)
  else if (command.kind === 'all') await runAll(command.options, command.out)
  else await run(command.options)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
