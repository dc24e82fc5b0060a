/**
 * Two nodes under `walcast run` behind HAProxy and nginx, under clients that record every answer,
 * and autocannon: planned changes of leader, then nodes and applications that die. Not part of `npm
 * test`. Needs the Debian packages `haproxy` and `nginx-light`.
 *
 *   scripts/torture balancers [--switchovers N] [--kills N]
 *
 * `--kills`: of each kind (the leader's node, the replica's, the leader's application, the
 * replica's).
 *
 * The clients want each write on both nodes (`Walcast-Ack: one`), and the nodes bound the wait for
 * that as an operator does who would not have every write stand still while one node is away
 * (`--ack-timeout`). A write that tells that it is on one node only counts as kept from the moment
 * at which the other node was level.
 *
 * Exit 0 when no request failed of those that were asked while leadership moved as planned; a death
 * cost 502, 503 or a broken connection, of requests that began before HAProxy's health checks had
 * seen it; nothing was lost, and nothing was done twice.
 */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { startHaproxy, startNginx } from '../support/balancers.ts'
import { ACCOUNTS, BALANCE, makeBank, stateOf } from '../support/bankCluster.ts'
import { type Exchange, outcomeOf } from '../support/history.ts'
import { checkHistory, faultsIn } from '../support/historyCheck.ts'
import {
  type Cause,
  dishonestIn,
  executedTwice,
  type Felt,
  falseAcksIn,
  feltOf,
  type Interruption,
  withKept,
} from '../support/interruptions.ts'
import { Lab } from '../support/lab.ts'
import { RecordingClient } from '../support/recordingClient.ts'
import { RunSite } from '../support/runSite.ts'
import { BalancersLab } from './balancersLab.ts'

interface LoadResult {
  /** Broken connections. */
  readonly errors: number
  readonly timeouts: number
  /** In ms. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly statusCodeStats: Readonly<Record<string, { readonly count: number }>>
}

/** The parts of autocannon used here; it has no types of its own. */
interface Load extends PromiseLike<LoadResult> {
  stop(): void
}
const autocannon: (options: object) => Load = createRequire(import.meta.url)('autocannon')

const ENVIRONMENT = {
  WALCAST_SECRET: 'correct horse battery staple',
  WALCAST_HEARTBEAT: '100ms',
  WALCAST_RECONNECT_MAX: '100ms',
  WALCAST_ACK_TIMEOUT: '1s',
}
const MAX_TOLD = 12
const MIN_LASTING = 100
const HONEST: ReadonlySet<string> = new Set(['200', '502', '503'])

const { values } = parseArgs({
  options: {
    switchovers: { type: 'string', default: '20' },
    kills: { type: 'string', default: '5' },
  },
})

const lab = new Lab()
try {
  await run(Number(values.switchovers), Number(values.kills))
} catch (error) {
  process.stdout.write(
    `FAILED: ${error instanceof Error ? error.stack : String(error)}\n${lab.tails().join('\n')}\n`,
  )
  process.exitCode = 1
} finally {
  await lab.close()
}

async function run(switchovers: number, kills: number): Promise<void> {
  await makeBank(lab, lab.path('a.db'))
  const a = await RunSite.start(lab, 'a', { environment: ENVIRONMENT })
  const b = await RunSite.start(lab, 'b', { leader: a.node.address, environment: ENVIRONMENT })
  // Balancers start with nodes that have seen their applications.
  for (const { node } of [a, b]) await node.ready()
  for (const site of [a, b]) await site.readyForClients()
  const haproxy = await startHaproxy(lab, [a, b])
  const client = new RecordingClient({
    doors: [haproxy, await startNginx(lab, [a, b])],
    accounts: ACCOUNTS,
    isKeyed: true,
    asksAgain: true,
    writeHeaders: { 'walcast-ack': 'one' },
    roams: () => true,
  })
  lab.atEnd(async () => void (await client.stop().catch(() => {})))
  const steps = new BalancersLab([a, b], haproxy, client, (step) => tell(step, client.record))
  await steps.settled()

  const toldPausesMs: number[] = []
  const planned = await underLoad(haproxy.url, () =>
    times(switchovers, async () => void toldPausesMs.push(await steps.changeLeader())),
  )
  const deaths = await underLoad(haproxy.url, async () => {
    // In turn, since an application that keeps dying is restarted after growing pauses.
    await times(kills, async () => {
      await steps.killNode('leader')
      await steps.killNode('replica')
      await steps.killApplication('leader')
      await steps.killApplication('replica')
    })
  })

  const { leader } = await steps.settled()
  const record = await client.stop()
  const { interruptions, marks } = steps
  const { repeats } = client
  const again = repeats.map((each) => each.again)
  const report = checkHistory(
    withKept([...record, ...again.filter((each) => outcomeOf(each) === 'done')], marks),
    await stateOf(lab, leader.db),
    { accounts: ACCOUNTS, balance: BALANCE, losses: 'unreplicated' },
  )
  for (const [cause, of] of byCause(interruptions)) say(cause, summary(of, record))
  say('pauses that switchovers told, ms', toldPausesMs.map(Math.round))
  say('autocannon', { planned, deaths })
  say('asked again', countsOf(again))
  say('promoted by force', { times: steps.forced })
  say('in the end', {
    answers: record.length,
    done: report.done,
    lasting: report.lasting,
    unknown: report.unknown,
    lost: report.lost.length,
    twice: report.duplicates.length,
  })
  // A leader that cannot know the outcome of a key says so each time; 409 is judged separately.
  const all = [...record, ...again.filter(({ status }) => status !== 409 && status !== 502)]
  assert.deepEqual(faultsIn(report), [])
  assert.deepEqual(executedTwice(repeats, interruptions), [])
  assert.deepEqual(falseAcksIn(record, interruptions), [])
  assert.deepEqual(dishonestIn(all, interruptions).slice(0, MAX_TOLD), [])
  assert.deepEqual(Object.keys(planned.byStatus), ['200'])
  assert.deepEqual([planned.errors, planned.timeouts, deaths.timeouts], [0, 0, 0])
  assert.deepEqual(
    Object.keys(deaths.byStatus).filter((status) => !HONEST.has(status)),
    [],
  )
  assert.ok(report.lasting >= MIN_LASTING, 'hardly a write had to be there: nothing was proved')
}

async function times(count: number, work: () => Promise<void>): Promise<void> {
  for (let i = 0; i < count; i++) await work()
}

/** Reads by autocannon meanwhile. */
async function underLoad(url: string, work: () => Promise<void>) {
  const load = autocannon({
    url: `${url}/accounts`,
    connections: 8,
    overallRate: 100,
    duration: 3600,
  })
  try {
    await work()
  } finally {
    load.stop()
  }
  const { errors, timeouts, statusCodeStats, latency } = await load
  const { p50, p99, max } = latency
  const counts = Object.entries(statusCodeStats).map(
    ([status, { count }]) => [status, count] as const,
  )
  return { errors, timeouts, byStatus: Object.fromEntries(counts), latencyMs: { p50, p99, max } }
}

function tell(step: Interruption, record: readonly Exchange[]): void {
  const { writePauseMs, readPauseMs, asked, byStatus, failures } = feltOf(step, record)
  const pauses = [writePauseMs, readPauseMs].map((ms) => `${Math.round(ms)}`.padStart(6))
  const columns = [
    step.cause.padEnd(20),
    `pause ms: writes ${pauses[0]}, reads ${pauses[1]}`,
    `${asked} asked`,
  ]
  process.stdout.write(`${[...columns, listed(byStatus), listed(failures)].join(' | ')}\n`)
}

function listed(counts: Readonly<Record<string, number>>): string {
  const all = Object.entries(counts).map(([name, count]) => `${name}: ${count}`)
  return all.join(', ') || 'none failed'
}

function say(what: string, figures: object): void {
  process.stdout.write(`${what}: ${JSON.stringify(figures)}\n`)
}

function byCause(interruptions: readonly Interruption[]): Map<Cause, Interruption[]> {
  const groups = new Map<Cause, Interruption[]>()
  for (const each of interruptions)
    groups.set(each.cause, [...(groups.get(each.cause) ?? []), each])
  return groups
}

function summary(of: readonly Interruption[], record: readonly Exchange[]) {
  const felt = of.map((each) => feltOf(each, record))
  const failures: Record<string, number> = {}
  for (const each of felt)
    for (const [name, count] of Object.entries(each.failures))
      failures[name] = (failures[name] ?? 0) + count
  return {
    times: of.length,
    asked: felt.reduce((sum, { asked }) => sum + asked, 0),
    failures,
    writePauseMs: spread(felt, 'writePauseMs'),
    readPauseMs: spread(felt, 'readPauseMs'),
  }
}

function spread(felt: readonly Felt[], what: 'writePauseMs' | 'readPauseMs') {
  const all = felt.map((each) => Math.round(each[what])).sort((a, b) => a - b)
  return { p50: all[Math.floor((all.length - 1) / 2)], max: all.at(-1) }
}

function countsOf(all: readonly Exchange[]): object {
  const counts: Record<string, number> = {}
  for (const { status, code = '' } of all) {
    const name = `${status} ${code}`.trim()
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
