/**
 * npm run campaigns: suites of the bench measure, at their smallest sizes: many replicas, large
 * databases, and proxies.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { CLI } from '../support/paths.ts'
import { processesIn } from '../support/processesIn.ts'

/** Only against hanging: a busy machine is slow. */
const TIMEOUT_MS = 600_000
const folder = mkdtempSync(join(tmpdir(), 'walcast-bench-runs-'))
after(() => rmSync(folder, { recursive: true, force: true }))

type Rows = readonly Readonly<Record<string, unknown>>[]

/** Runs a suite to its end and checks that it leaves nothing behind. */
async function bench(
  ...args: readonly string[]
): Promise<{ rows: Rows; ratios: Record<string, unknown> }> {
  const all = [CLI, 'bench', ...args, '--json', '--out', join(folder, 'out')]
  const env = { ...process.env, TMPDIR: folder }
  const { stdout } = await promisify(execFile)(process.execPath, all, { env, timeout: TIMEOUT_MS })
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('walcast-bench-')),
    [],
  )
  return JSON.parse(stdout)
}

function numberOf(row: Rows[number], column: string): number {
  assert.equal(typeof row[column], 'number', column)
  return Number(row[column])
}

test('fanout measures replicas in groups; a batch is encoded once', async () => {
  const short = ['--rounds', '1', '--seconds', '1', '--warmup', '0.5', '--rates', '50']
  const { rows, ratios } = await bench(
    'fanout',
    ...short,
    '--replicas',
    '1,3',
    '--per-process',
    '2',
  )
  const [one, three, levels] = rows
  for (const [row, replicas, processes] of [
    [one, 1, 1],
    [three, 3, 2],
  ] as const) {
    assert.deepEqual(
      [row['replicas'], row['processes'], row['identical']],
      [replicas, processes, true],
    )
    for (const column of [
      'leaderUsPerBatch',
      'replicaUsPerBatchAndReplica',
      'leaderRssMb',
      'slowestP99Ms',
      'ownP99Ms',
    ])
      assert.ok(numberOf(row, column) > 0, column)
    assert.equal(row['messagesPerBatch'], 1)
    assert.ok(Math.abs(numberOf(row, 'sentPerEncoded') - 1) < 0.1)
  }
  numberOf(three, 'leaderUsPerBatchAndReplica')
  assert.ok('slowest p99 3/1@50' in ratios)
  assert.deepEqual([levels['topology'], levels['relays']], ['two levels', 1])
  // It was measured, or says why not.
  assert.ok(levels['identical'] === true || /replica of a replica/.test(String(levels['skipped'])))
})

const SMALL = ['--gb', '0.02', '--transaction-gb', '0.02', '--stop-seconds', '1']

/** Rows by their case. */
async function large(...parts: readonly string[]): Promise<(name: string) => Rows[number]> {
  const { rows } = await bench('large', ...SMALL, '--parts', parts.join(','))
  assert.deepEqual([...new Set(rows.map((each) => each['part']))], parts)
  for (const each of rows) {
    assert.equal(each['identical'], each['part'] === 'start' ? null : true)
    assert.ok(numberOf(each, 'leaderRssMb') > 0)
  }
  return (name) => {
    const found = rows.find((each) => each['case'] === name)
    assert.ok(found, name)
    return found
  }
}

test('large measures starts, copies and comparisons', async () => {
  const row = await large('start', 'copy', 'difference')
  assert.deepEqual(
    ['first start', 'after a clean stop', 'after SIGKILL'].map((name) => row(name)['newEpoch']),
    [1, 0, 0],
  )
  assert.ok(numberOf(row('first copy'), 'sentMb') > 20)
  const difference = row('100 rows')
  // The changed pages and little else go one way, a checksum of every page the other.
  assert.ok(numberOf(difference, 'leaderSentMb') > 0.4 && numberOf(difference, 'leaderSentMb') < 1)
  assert.ok(
    numberOf(difference, 'replicaSentMb') > 0.03 && numberOf(difference, 'replicaSentMb') < 0.2,
  )
})

test('large measures huge transactions and a replica that stands still', async () => {
  const row = await large('transaction', 'stopped')
  for (const name of ['update of every row', 'vacuum'])
    assert.ok(numberOf(row(name), 'leaderWalMb') > 19)
  assert.ok(
    numberOf(row('one stopped'), 'lagP99Ms') > 0 && numberOf(row('level again'), 'seconds') > 0,
  )
})

const running = () => processesIn(folder).filter((line) => line.includes('/walcast-bench-'))

test('http measures reads, writes and lag at the proxies, and leaves nothing behind', async () => {
  const short = ['--rounds', '1', '--seconds', '1', '--warmup', '0.5']
  const { rows, ratios } = await bench('http', ...short, '--connections', '2', '--rates', '100')
  assert.deepEqual(
    rows.map((row) => [row['case'], row['connections'], row['rounds'], row['identical']]),
    [
      ['read', 2, 1, true],
      ['write', 1, 1, true],
      ['lag', 2, 1, true],
    ],
  )
  const [read, write, lag] = rows
  for (const row of [read, write])
    for (const column of ['directP50Ms', 'p50Ms', 'directPerSecond', 'perSecond'])
      assert.ok(numberOf(row, column) > 0, column)
  const overhead = numberOf(read, 'p50Ms') - numberOf(read, 'directP50Ms')
  assert.ok(Math.abs(numberOf(read, 'overheadP50Ms') - overhead) < 0.01)
  for (const column of [
    'leaderP50Ms',
    'leaderNothingP50Ms',
    'nothingP50Ms',
    'waitP50Ms',
    'waitMeanMs',
  ])
    numberOf(write, column)
  assert.equal(write['late'], 0)
  assert.ok(numberOf(lag, 'lagP99Ms') > 0 && numberOf(lag, 'above5msPercent') >= 0)
  // Commits at the same moment are one batch; the window includes the warm-up.
  assert.ok(numberOf(lag, 'commits') > 0 && numberOf(lag, 'commits') <= 100)
  assert.ok(
    numberOf(lag, 'inWindow') > numberOf(lag, 'commits') && numberOf(lag, 'inWindow') <= 150,
  )
  assert.ok('read p50 proxy/direct connections 2' in Object(ratios))
  assert.deepEqual(running(), [])
})

test('lag measures beside a peer, gives ratios, and says why a peer was skipped', async () => {
  const one = ['--rates', '50', '--rounds', '1', '--pages', '1', '--replicas', '1']
  const short = ['--seconds', '1', '--warmup', '0.5', '--warmup-rate', '100']
  const peers = ['--readers', 'idle', '--peers', 'push-continuous,litefs']
  const { rows, ratios } = await bench('lag', ...one, ...short, ...peers)
  const [walcast, push, litefs] = rows
  for (const [row, system] of [
    [walcast, 'walcast'],
    [push, 'push-continuous'],
  ] as const) {
    assert.deepEqual(
      [row['system'], row['rate'], row['rounds'], row['identical']],
      [system, 50, 1, true],
    )
    assert.ok(numberOf(row, 'p50Ms') > 0 && numberOf(row, 'p99Ms') >= numberOf(row, 'p50Ms'))
  }
  assert.deepEqual([litefs['system'], litefs['rounds'], litefs['p50Ms']], ['litefs', 0, null])
  assert.match(String(litefs['skipped']), /litefs/)
  const expected = numberOf(walcast, 'p50Ms') / numberOf(push, 'p50Ms')
  assert.ok(Math.abs(Number(ratios['p50 walcast/push-continuous@50']) / expected - 1) < 0.01)
  assert.deepEqual(running(), [])
})
