/** What walcast is meant to reach, what the results say, and what stands in the way of more. */
import type { KeptResult, KeptRow } from '../result.ts'
import { figure, milliseconds, share, withRange } from './figures.ts'
import { type Measured, measured } from './summary.ts'

export interface Goal {
  readonly goal: string
  /** The figure, with the smallest and the largest of the rounds. */
  readonly result: string
  readonly isMet: boolean
  /** From the same result: what the figure is made of. */
  readonly because: string
}

const RATE = 200

/**
 * Those goals that the results can answer. Each is about what was measured side by side in one run.
 */
export function goalsOf(results: readonly KeptResult[]): Goal[] {
  const lag = results.find(({ suite }) => suite === 'lag')
  const throughput = results.find(({ suite }) => suite === 'throughput')
  const http = results.find(({ suite }) => suite === 'http')
  const fanout = results.find(({ suite }) => suite === 'fanout')
  const large = results.find(({ suite }) => suite === 'large')
  const switchover = results.find(({ suite }) => suite === 'switchover')
  const failover = results.find(({ suite }) => suite === 'failover')
  const restore = results.find(({ suite }) => suite === 'restore')
  return [
    ...(lag ? lagGoals(lag) : []),
    ...(throughput ? writerGoals(throughput) : []),
    ...(http ? httpGoals(http) : []),
    ...(fanout ? fanoutGoals(fanout) : []),
    ...(large ? largeGoals(large) : []),
    ...(switchover ? switchoverGoals(switchover) : []),
    ...(failover ? failoverGoals(failover) : []),
    ...(restore ? restoreGoals(restore) : []),
  ]
}

function lagGoals(lag: KeptResult): Goal[] {
  const row = lag.rows.find((each) => each.system === 'walcast' && each['rate'] === RATE)
  const because = row ? partsOfLag(row) : ''
  const atMost = (goal: string, name: string, bound: number) => {
    const ratio = ratioOf(lag, `${name}@${RATE}`)
    const fromBegin = ratioOf(lag, `${name.replace('p50 ', 'p50 from begun ')}@${RATE}`)
    const beside =
      fromBegin && name.startsWith('p50') ? `; from BEGIN ${withRange(fromBegin, share)}` : ''
    const parts = name.startsWith('p50') ? because : ''
    return goalOf(goal, ratio, (value) => value <= bound, parts, beside)
  }
  return [
    ...atMost("p50 at most half of PostgreSQL's asynchronous standby", 'p50 walcast/postgres', 0.5),
    ...atMost("p50 at most 2.5 times Redis's", 'p50 walcast/redis', 2.5),
    ...atMost("p99 not above PostgreSQL's", 'p99 walcast/postgres', 1),
  ]
}

/**
 * The floor is measured in the same run; a reader looks on average half a pause after the row is
 * there.
 */
function partsOfLag(row: KeptRow): string {
  const [p50, floor, look] = ['p50Ms', 'floorMs', 'lookMs'].map(
    (column) => measured(row, column)?.value,
  )
  if (p50 === undefined || floor === undefined || look === undefined) return ''
  const rest = Math.max(0, p50 - floor - look / 2)
  const parts = [
    `file event and hop ${milliseconds(floor)}`,
    `half a look ${milliseconds(look / 2)}`,
    `walcast ${milliseconds(rest)}`,
  ]
  return `of ${milliseconds(p50)} ms: ${parts.join(', ')}`
}

function writerGoals(throughput: KeptResult): Goal[] {
  const atLeast = (goal: string, rate: number | 'full', autocheckpoint: number, bound: number) => {
    const isRow = (each: KeptRow) =>
      each.system === 'walcast' &&
      each['rate'] === rate &&
      each['autocheckpoint'] === autocheckpoint
    const row = throughput.rows.find(isRow)
    const because = row ? pausesOf(row) : ''
    return goalOf(goal, row && measured(row, 'ratio'), (value) => value >= bound, because)
  }
  return [
    ...atLeast(
      "writer's rate at 5,000 commits a second at least 0.9 of the rate alone",
      5000,
      1000,
      0.9,
    ),
    ...atLeast("writer's rate at full speed at least 0.8 of the rate alone", 'full', 1000, 0.8),
    ...atLeast('the same with `wal_autocheckpoint=0`', 'full', 0, 0.8),
  ]
}

function pausesOf(row: KeptRow): string {
  const [pauses, pauseMs, alone, replicated] = [
    'pauses',
    'pauseMs',
    'aloneCommitUs',
    'commitUs',
  ].map((column) => measured(row, column)?.value)
  const us = (value: number | undefined) => (value === undefined ? '' : `${value.toFixed(0)} µs`)
  const mean =
    alone === undefined || replicated === undefined
      ? ''
      : `a commit takes ${us(replicated)}, alone ${us(alone)}`
  const stops =
    pauses === undefined || pauseMs === undefined
      ? ''
      : `writers were stopped ${pauses.toFixed(0)} times, ${milliseconds(pauseMs)} ms in all`
  return [mean, stops].filter(Boolean).join('; ')
}

function httpGoals(http: KeptResult): Goal[] {
  const rowOf = (kind: string, isRow = (_row: KeptRow) => true) =>
    http.rows.find((row) => row.system === 'walcast' && row['case'] === kind && isRow(row))
  const read = rowOf('read', (row) => row['connections'] === 1)
  const write = rowOf('write')
  const lag = rowOf('lag', (row) => row['rate'] === RATE)
  const within = (
    goal: string,
    row: KeptRow | undefined,
    column: string,
    boundMs: number,
    because: string,
  ) =>
    goalOf(goal, row && measured(row, column), (ms) => ms <= boundMs, because, ' ms', milliseconds)
  return [
    ...within(
      "a read through a replica's proxy at most 0.25 ms slower at p50",
      read,
      'overheadP50Ms',
      0.25,
      partsOf(read, { p50Ms: 'through the proxy', directP50Ms: 'asked directly' }),
    ),
    ...within(
      "a forwarded write's wait for its own position at most 1 ms at p50",
      write,
      'waitP50Ms',
      1,
      partsOf(write, {
        p50Ms: 'forwarded',
        nothingP50Ms: 'without a commit',
        leaderP50Ms: "at the leader's proxy",
        leaderNothingP50Ms: 'there without a commit',
      }),
    ),
    ...within(
      `p99 of lag under 5 ms at ${RATE} commits a second under full reads`,
      lag,
      'lagP99Ms',
      5,
      readsOf(lag),
    ),
  ]
}

/** Columns with what they are, such as `0.39 ms through the proxy`. */
function partsOf(row: KeptRow | undefined, names: Readonly<Record<string, string>>): string {
  const parts = Object.entries(names).flatMap(([column, name]) => {
    const found = row && measured(row, column)
    return found ? `${milliseconds(found.value)} ms ${name}` : []
  })
  return parts.join(', ')
}

function readsOf(row: KeptRow | undefined): string {
  const reads = row && measured(row, 'perSecond')
  return reads ? `beside ${figure(Math.round(reads.value))} reads a second` : ''
}

/** Of the most replicas that the leader fed itself. */
function fanoutGoals({ rows }: KeptResult): Goal[] {
  const flat = rows.filter((row) => row['topology'] === 'flat' && Number(row['replicas']) > 1)
  const row = flat.sort((a, b) => Number(b['replicas']) - Number(a['replicas']))[0]
  if (!row) return []
  const added = measured(row, 'leaderUsPerBatchAndReplica')
  const because = added
    ? `each replica adds ${figure(added.value)} µs of the leader's CPU to a batch`
    : ''
  const goal = `a batch is encoded once for ${figure(Number(row['replicas']))} replicas`
  return goalOf(goal, measured(row, 'messagesPerBatch'), (value) => value <= 1, because, ' times')
}

/** Of the worst of the rows that each is about. */
function largeGoals({ rows }: KeptResult): Goal[] {
  const size = Math.max(0, ...rows.map((row) => Number(row['fileMb'] ?? 0)))
  const because = `a file of ${figure(Math.round(size))} MB`
  const worst = (of: readonly KeptRow[], ...columns: readonly string[]) =>
    of
      .flatMap((row) => columns.flatMap((column) => measured(row, column) ?? []))
      .sort((a, b) => b.value - a.value)[0]
  const restarts = rows.filter((row) => row['part'] === 'start' && row['case'] !== 'first start')
  const under = (goal: string, found: Measured | undefined, bound: number, unit: string) =>
    goalOf(goal, found, (value) => value < bound, because, ` ${unit}`, figure)
  return [
    ...under('RSS of a node under 256 MB', worst(rows, 'leaderRssMb', 'replicaRssMb'), 256, 'MB'),
    ...under('a leader ready in under 20 s after a restart', worst(restarts, 'seconds'), 20, 's'),
    ...under('a resync of 100 rows under 1 % of the file', worst(rows, 'ofFilePercent'), 1, '%'),
  ]
}

/** Of the planned ones. */
function switchoverGoals({ rows }: KeptResult): Goal[] {
  const row = rows.find((each) => each['part'] === 'planned')
  if (!row) return []
  const because =
    `${figure(Number(row['switchovers']))} switchovers under ${figure(Number(row['rate']))} ` +
    'writes and as many reads a second'
  const goal = (text: string, column: string, isMet: (value: number) => boolean, unit: string) =>
    goalOf(text, measured(row, column), isMet, because, unit, figure)
  return [
    ...goal('writes pause under 100 ms (p99)', 'pauseP99Ms', (value) => value < 100, ' ms'),
    ...goal('no request fails', 'failed', (value) => value === 0, ' failed'),
    ...goal('no write is lost', 'lost', (value) => value === 0, ' lost'),
  ]
}

/** Each row has its aim beside what was measured. */
function failoverGoals({ rows }: KeptResult): Goal[] {
  return rows.flatMap((row) => {
    const aimMs = Number(row['aimMs'] ?? 0)
    const because = `${figure(Number(row['rounds'] ?? 0))} rounds`
    const goal = (text: string, column: string, bound: number, unit: string) =>
      goalOf(text, measured(row, column), (value) => value <= bound, because, unit, figure)
    const kind = String(row['part'])
    return [
      ...(aimMs > 0
        ? goal(`${kind}: at most ${figure(aimMs)} ms (p99)`, 'p99Ms', aimMs, ' ms')
        : []),
      ...goal(`${kind}: no acknowledged write is lost`, 'lost', 0, ' lost'),
      ...goal('at most 1 request a second on etcd for a node', 'requestsPerSecond', 1, ''),
    ]
  })
}

/** Each row has its aim beside what was measured. */
function restoreGoals({ rows }: KeptResult): Goal[] {
  return rows
    .filter(({ system }) => system === 'walcast')
    .flatMap((row) => {
      const name = row['case']
      const under = (goal: string, column: string, bound: number, unit: string, because = '') =>
        goalOf(goal, measured(row, column), (value) => value <= bound, because, unit, figure)
      const aimOf = (column: string) => Number(row[column])
      switch (row['part']) {
        case 'writer': {
          const aim = aimOf('aimCostPercent')
          const goal = `archiving costs a full-speed writer at most ${aim} % (${name})`
          return under(goal, 'costPercent', aim, ' %', cpuOf(row))
        }
        case 'lag': {
          const aim = aimOf('aimAddedP50Ms')
          const goal = `archiving adds at most ${aim} ms to p50 of lag (${name})`
          return under(goal, 'addedP50Ms', aim, ' ms')
        }
        case 'behind': {
          const aim = aimOf('aimP99Ms')
          const goal = `what a restore gives is at most ${aim} ms old at p99 (${name})`
          return under(goal, 'behindP99Ms', aim, ' ms')
        }
        case 'restore': {
          const goal = `a restore takes at most twice cp, and changes at 300 MB/s (${name})`
          return under(goal, 'ofAim', 1, ' times', timesOf(row))
        }
        case 'at': {
          const aim = aimOf('aimP50Ms')
          if (!Number.isFinite(aim)) return []
          const goal = `a row of a past position within ${aim} ms, in a new process (${name})`
          return under(goal, 'p50Ms', aim, ' ms')
        }
        default:
          return []
      }
    })
}

function cpuOf(row: KeptRow): string {
  const [all, archive] = [measured(row, 'cpuUs'), measured(row, 'archiveCpuUs')]
  if (!all || !archive) return ''
  return `${figure(archive.value)} of the nodes' ${figure(all.value)} µs of CPU for each commit`
}

function timesOf(row: KeptRow): string {
  const names = { seconds: 's', aimSeconds: 's is the aim', cpSeconds: 's takes cp' }
  const parts = Object.entries(names).flatMap(([column, name]) => {
    const found = measured(row, column)
    return found ? `${figure(found.value)} ${name}` : []
  })
  return parts.join(', ')
}

function ratioOf({ ratios }: KeptResult, name: string): Measured | undefined {
  return measured({ system: 'ratio', ...ratios }, name)
}

function goalOf(
  goal: string,
  ratio: Measured | undefined,
  isMet: (value: number) => boolean,
  because: string,
  beside = '',
  format = share,
): Goal[] {
  if (!ratio) return []
  return [{ goal, result: withRange(ratio, format) + beside, isMet: isMet(ratio.value), because }]
}
