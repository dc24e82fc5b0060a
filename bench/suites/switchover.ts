/**
 * How long clients wait while the leader changes: planned, back and forth, and after the leader was
 * killed.
 *
 * Two nodes run behind their proxies, each before an application (programs/roleApp.ts) that opened
 * its database once and knows nothing of roles. 4 clients write and 4 read, `--rates` a second of
 * each kind together. Each sends one request at a time on connections kept alive, to the two
 * proxies in turn, on a schedule of its own. A turn that a slow answer made a client miss is left
 * out.
 *
 * `planned`: `--switchovers` changes back and forth. Between two there are 0.4 to 0.8 s of rest and
 * the wait for the other node to follow. All figures are p50, p99 and the largest over these
 * changes; with 50 of them p99 is the largest but for rounding.
 *
 * - `pause`: the longest time in which no client had a write answered. It is looked for from the
 *   last answer before the operator's request to the first after its answer, 20 ms added at both
 *   ends. Of 200 writes a second a gap of 5 ms is what there is without any pause.
 * - `usual`: the same of as long a time, ended 40 ms before. A pause is what it is above that.
 * - `wait`: the longest that any write took that was under way in the window.
 * - `nodePause` and the stages (`quiet` to `follow`): the nodes' own words.
 * - `took`: the operator's wait for the answer.
 * - `heldWrites`: all writes that waited at a node.
 * - `readPause`, `readWait`: the same of reads.
 * - `failed`: requests without success over the whole run, warm-up and rests included.
 * - `lost`: writes that were answered with success and are not in the file at the end. Then both
 *   nodes hold the same rows, or there are no numbers.
 *
 * `failover`: fresh nodes, `--failovers` times. The leader gets SIGKILL under the same load, and
 * the other node is promoted as soon as the process has ended. Nobody has to notice that the leader
 * is dead: what does that, and how fast, is not in it.
 *
 * - `killToWriteMs`: from the signal to the first write answered with success.
 * - `promoteMs`: what the node says that it took.
 * - `failed`: clients that ask the dead node's proxy are refused.
 * - `lost`: may be above 0, since replication is asynchronous here.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { percentiles, type Spread, spread } from '../arithmetic.ts'
import { openForReading } from '../clients/sqlite.ts'
import type { PinSetup } from '../options.ts'
import { type Child, pause } from '../processes.ts'
import type { Row } from '../result.ts'
import {
  type Asked,
  answersOf,
  before,
  isDone,
  longestGapMs,
  longestWaitMs,
  nowMs,
  type Window,
} from '../roleLog.ts'
import { type Context, newSetup, type Suite, startProgram } from '../suite.ts'
import type { Setup } from '../system.ts'
import { type Promoted, RolePair, type SwitchedOver } from '../systems/rolePair.ts'
import { walcast } from '../systems/walcast.ts'

/** That write, and as many that read. */
const CLIENTS = 4
/**
 * Between two switchovers, and a random part more, so that they fall anywhere in the clients'
 * schedules.
 */
const REST_MS = 400
/** Of a change, at both ends: answers that it delayed are within. */
const MARGIN_MS = 20
const LOAD_TIMEOUT_MS = 60_000
/** In which the code of nodes and clients gets compiled. */
const WARMUP_MS = 3000
/** After a promotion, until the load ends. */
const AFTER_MS = 2000

interface Change {
  readonly window: Window
  readonly told: SwitchedOver
}

/** Requests that failed, and writes answered as done but missing at the end. */
interface Losses {
  readonly requests: number
  readonly failed: number
  readonly lost: number
}

interface Switchovers extends Losses {
  readonly asked: readonly Asked[]
  readonly changes: readonly Change[]
}

interface Failover extends Losses {
  readonly killToWriteMs: number
  readonly promoteMs: number
}

export const switchover: Suite = {
  note:
    `Two nodes behind their proxies; ${CLIENTS} clients write and ${CLIENTS} read, ` +
    'rate a second each together, through both proxies in turn, on connections kept alive. ' +
    'pause: the longest time without an answered write around each switchover; ' +
    'usual: the same of as long a time before it; wait: the longest that one write took; ' +
    'nodePause: as the node reports it. ' +
    'failed: requests without success; ' +
    'lost: writes answered as done but missing at the end. ' +
    'failover: from SIGKILL of the leader to the first write answered as done; ' +
    'the other node is promoted at once, and replication is asynchronous: lost may be above 0.',
  hasPeers: false,
  async run(context) {
    const rows: Row[] = []
    for (const pin of context.options.pins) {
      context.processes.pinning = pin.pinning
      for (const rate of context.options.ratesPerSecond)
        rows.push(...(await measure(context, pin, rate)))
    }
    return rows
  },
}

async function measure(context: Context, pin: PinSetup, rate: number): Promise<Row[]> {
  const { rounds, failovers } = context.options
  const tell = (what: string) => context.progress(`switchover: ${what}, ${rate}/s, pin ${pin.text}`)
  const planned: Switchovers[] = []
  for (let i = 1; i <= rounds; i++) {
    tell(`planned, round ${i}`)
    planned.push(await measureSwitchovers(context, rate))
  }
  const killed: Failover[] = []
  for (let i = 1; i <= failovers; i++) {
    tell(`leader killed, ${i} of ${failovers}`)
    killed.push(await measureFailover(context, rate))
  }
  const shared = { system: walcast.name, rate, pin: pin.text }
  return [
    { ...shared, part: 'planned', rounds, ...plannedFigures(planned) },
    { ...shared, part: 'failover', rounds: failovers, ...failoverFigures(killed) },
  ]
}

async function measureSwitchovers(context: Context, rate: number): Promise<Switchovers> {
  const setup = newSetup(context, 1)
  const pair = await RolePair.start(context, setup)
  const load = await startLoad(context, setup, pair, rate)
  await pause(WARMUP_MS)
  const changes: Change[] = []
  for (let i = 0; i < context.options.switchovers; i++) {
    const [from, to] = i % 2 === 0 ? pair.nodes : pair.nodes.toReversed()
    await pause(REST_MS + Math.random() * REST_MS)
    const fromMs = nowMs() - MARGIN_MS
    const told = await pair.switchOver(from, to)
    changes.push({ told, window: { fromMs, toMs: nowMs() + MARGIN_MS } })
    await pair.settled(to)
  }
  await pause(REST_MS)
  const asked = await endLoad(load, setup)
  await pair.verify()
  await pair.stop()
  return { asked, changes, ...lossesIn(asked, pair.nodes[0].db) }
}

async function measureFailover(context: Context, rate: number): Promise<Failover> {
  const setup = newSetup(context, 1)
  const pair = await RolePair.start(context, setup)
  const [leader, heir] = pair.nodes
  const load = await startLoad(context, setup, pair, rate)
  await pause(WARMUP_MS)
  const killedMs = nowMs()
  leader.child.kill()
  await leader.child.ended
  const { tookMs }: Promoted = await pair.promote(heir)
  await pause(AFTER_MS)
  const asked = await endLoad(load, setup)
  await pair.stop()
  const first = answersOf(asked, 'write').find(([, , endMs]) => endMs > killedMs)
  if (!first) throw heir.child.failure('took no write after the promotion')
  return { killToWriteMs: first[2] - killedMs, promoteMs: tookMs, ...lossesIn(asked, heir.db) }
}

const logOf = (setup: Setup) => join(setup.folder, 'asked.json')

async function startLoad(
  context: Context,
  setup: Setup,
  pair: RolePair,
  rate: number,
): Promise<Child> {
  const doors = JSON.stringify(pair.nodes.map(({ door }) => door))
  const flags = { doors, clients: CLIENTS, rate, log: logOf(setup) }
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)])
  const child = await startProgram(context, 'load', { script: 'programs/roleLoad.js', args })
  child.go()
  await child.says('running', LOAD_TIMEOUT_MS)
  return child
}

async function endLoad(load: Child, setup: Setup): Promise<Asked[]> {
  load.go()
  await load.result(LOAD_TIMEOUT_MS)
  return JSON.parse(readFileSync(logOf(setup), 'utf8'))
}

/** The nodes must have stopped, so that nothing is under way. */
function lossesIn(asked: readonly Asked[], path: string): Losses {
  const db = openForReading(path)
  const there = new Set(db.prepare<[], number>('SELECT id FROM t').pluck().all())
  db.close()
  const lost = answersOf(asked, 'write').filter(([, , , , id]) => !there.has(id)).length
  return { requests: asked.length, failed: asked.filter((each) => !isDone(each)).length, lost }
}

const total = (rounds: readonly Losses[], key: keyof Losses) =>
  rounds.reduce((sum, round) => sum + round[key], 0)

function plannedFigures(rounds: readonly Switchovers[]) {
  const stages = Object.keys(rounds[0].changes[0].told.stages)
  return {
    switchovers: rounds[0].changes.length,
    ...figures('pause', rounds, ({ asked }) => gaps(asked, 'write')),
    ...figures('usual', rounds, ({ asked }) => {
      const gap = gaps(asked, 'write')
      return ({ window }) => gap({ window: before(window, 2 * MARGIN_MS) })
    }),
    ...figures('wait', rounds, ({ asked }) => waits(asked, 'write')),
    ...figures(
      'nodePause',
      rounds,
      () =>
        ({ told }) =>
          told.pauseMs,
    ),
    ...figures(
      'took',
      rounds,
      () =>
        ({ told }) =>
          told.tookMs,
    ),
    ...figures('readPause', rounds, ({ asked }) => gaps(asked, 'read')),
    ...figures('readWait', rounds, ({ asked }) => waits(asked, 'read')),
    ...Object.fromEntries(
      stages.map((stage) => {
        const ofRound = ({ changes }: Switchovers) =>
          changes.map(({ told }) => told.stages[stage] * 1e6)
        return [
          stage.replace(/Ms$/, 'P50Ms'),
          spread(rounds.map((round) => percentiles(ofRound(round)).p50Ms)),
        ]
      }),
    ),
    heldWrites: spread(
      rounds.map(({ changes }) => changes.reduce((sum, { told }) => sum + told.heldWrites, 0)),
    ),
    requests: total(rounds, 'requests'),
    failed: total(rounds, 'failed'),
    lost: total(rounds, 'lost'),
    identical: true,
  }
}

function gaps(asked: readonly Asked[], kind: Asked[0]) {
  const answers = answersOf(asked, kind)
  return ({ window }: Pick<Change, 'window'>) => longestGapMs(answers, window)
}

function waits(asked: readonly Asked[], kind: Asked[0]) {
  const answers = answersOf(asked, kind)
  return ({ window }: Pick<Change, 'window'>) => longestWaitMs(answers, window)
}

/**
 * p50, p99 and the largest over the switchovers of a round; `measureIn` gives a round's measure of
 * one.
 */
function figures(
  name: string,
  rounds: readonly Switchovers[],
  measureIn: (round: Switchovers) => (change: Change) => number,
): Record<string, Spread> {
  const all = rounds.map((round) => {
    const measureOf = measureIn(round)
    return percentiles(round.changes.map((change) => measureOf(change) * 1e6))
  })
  return {
    [`${name}P50Ms`]: spread(all.map(({ p50Ms }) => p50Ms)),
    [`${name}P99Ms`]: spread(all.map(({ p99Ms }) => p99Ms)),
    [`${name}MaxMs`]: spread(all.map(({ maxMs }) => maxMs)),
  }
}

function failoverFigures(rounds: readonly Failover[]) {
  return {
    killToWriteMs: spread(rounds.map(({ killToWriteMs }) => killToWriteMs)),
    promoteMs: spread(rounds.map(({ promoteMs }) => promoteMs)),
    requests: total(rounds, 'requests'),
    failed: total(rounds, 'failed'),
    lost: total(rounds, 'lost'),
  }
}
