/** `walcast bench`: the harness as a child process, its output, exit code and signals. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { commandToEnd, type EndedCommand } from '../support/endedCommand.ts'
import { processesIn } from '../support/processesIn.ts'
import { until } from '../support/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-bench-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** Runs the bench to its end; once `whenToStop` resolves, tells it to stop. */
function bench(
  args: readonly string[],
  whenToStop?: () => Promise<unknown>,
): Promise<EndedCommand> {
  const run = { temporary: folder, stopSignal: 'SIGTERM', giveUpSignal: 'SIGKILL' } as const
  return commandToEnd(['bench', ...args], run, whenToStop)
}

test('help goes to standard output', async () => {
  const { code, stdout, stderr } = await bench(['--help'])
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /walcast bench SUITE/)
})

test('wrong use is one line and exit code 2', async () => {
  for (const args of [
    [],
    ['nothing'],
    ['lag', '--rates', 'x'],
    ['report', '--json'],
    ['--no-such-option'],
  ]) {
    const { code, stdout, stderr } = await bench(args)
    assert.deepEqual(
      [code, stdout, stderr.trimEnd().split('\n').length],
      [2, '', 1],
      args.join(' '),
    )
  }
})

test('report works on a folder without results, and refuses a missing folder', async () => {
  const out = join(folder, 'empty')
  mkdirSync(out)
  assert.equal((await bench(['report', '--out', out])).code, 0)
  assert.deepEqual(readdirSync(out).sort(), ['report.html', 'summary.svg'])
  rmSync(out, { recursive: true })
  const { code, stderr } = await bench(['report', '--out', out])
  assert.equal(code, 1)
  assert.match(stderr, /^report: there is no folder .*\n$/)
})

const running = () => processesIn(folder).filter((line) => line.includes('/walcast-bench-'))

const ONE_CASE = [
  '--rates',
  '50',
  '--rounds',
  '1',
  '--pages',
  '1',
  '--replicas',
  '1',
  '--readers',
  'idle',
]

test('a signal stops the bench, its nodes and programs, and leaves nothing behind', async () => {
  const { code, stdout } = await bench(['lag', ...ONE_CASE, '--out', join(folder, 'out')], () =>
    until('a writer runs', () => running().some((line) => line.includes('pacedWriter'))),
  )
  assert.deepEqual([code, stdout], [1, ''])
  assert.deepEqual(running(), [])
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('walcast-bench-')),
    [],
  )
})

test('--json is one object with ratios, and the reason why a peer was skipped', async () => {
  const short = ['--seconds', '1', '--warmup', '0.5', '--warmup-rate', '100']
  const peers = ['--peers', 'push-continuous,litefs', '--json']
  const { code, stdout, stderr } = await bench([
    ...['lag', ...ONE_CASE, ...short, ...peers],
    ...['--out', join(folder, 'out')],
  ])
  assert.equal(code, 0, stderr)
  const result = JSON.parse(stdout) as Record<string, unknown> & { rows: Record<string, unknown>[] }
  assert.deepEqual([result['suite'], typeof result['machine']], ['lag', 'object'])
  const [walcast, push, litefs] = result.rows
  for (const [row, system] of [
    [walcast, 'walcast'],
    [push, 'push-continuous'],
  ] as const) {
    assert.deepEqual(
      [row['system'], row['rate'], row['rounds'], row['identical']],
      [system, 50, 1, true],
    )
    assert.ok(Number(row['p50Ms']) > 0 && Number(row['p99Ms']) >= Number(row['p50Ms']))
  }
  assert.deepEqual([litefs['system'], litefs['rounds'], litefs['p50Ms']], ['litefs', 0, null])
  assert.match(String(litefs['skipped']), /litefs/)
  const ratios = Object(result['ratios'])
  const expected = Number(walcast['p50Ms']) / Number(push['p50Ms'])
  assert.ok(Math.abs(ratios['p50 walcast/push-continuous@50'] / expected - 1) < 0.01)
  assert.deepEqual(running(), [])
})

test('http measures reads, writes and lag at the proxies, and leaves nothing behind', async () => {
  const short = ['--rounds', '1', '--seconds', '1', '--warmup', '0.5']
  const cases = ['--connections', '2', '--rates', '100', '--json']
  const { code, stdout, stderr } = await bench([
    'http',
    ...short,
    ...cases,
    '--out',
    join(folder, 'out'),
  ])
  assert.equal(code, 0, stderr)
  const { rows, ratios } = JSON.parse(stdout) as Record<
    'rows' | 'ratios',
    Record<string, unknown>[]
  >
  assert.deepEqual(
    rows.map((row) => [row['case'], row['connections'], row['rounds'], row['identical']]),
    [
      ['read', 2, 1, true],
      ['write', 1, 1, true],
      ['lag', 2, 1, true],
    ],
  )
  const [read, write, lag] = rows
  const number = (row: Record<string, unknown>, column: string) => {
    assert.equal(typeof row[column], 'number', column)
    return Number(row[column])
  }
  for (const row of [read, write])
    for (const column of ['directP50Ms', 'p50Ms', 'directPerSecond', 'perSecond'])
      assert.ok(number(row, column) > 0, column)
  const overhead = number(read, 'p50Ms') - number(read, 'directP50Ms')
  assert.ok(Math.abs(number(read, 'overheadP50Ms') - overhead) < 0.01)
  for (const column of [
    'leaderP50Ms',
    'leaderNothingP50Ms',
    'nothingP50Ms',
    'waitP50Ms',
    'waitMeanMs',
  ])
    number(write, column)
  assert.equal(write['late'], 0)
  assert.ok(number(lag, 'lagP99Ms') > 0 && number(lag, 'above5msPercent') >= 0)
  // Commits at the same moment are one batch; the window includes the warm-up.
  assert.ok(number(lag, 'commits') > 0 && number(lag, 'commits') <= 100)
  assert.ok(number(lag, 'inWindow') > number(lag, 'commits') && number(lag, 'inWindow') <= 150)
  assert.ok('read p50 proxy/direct connections 2' in Object(ratios))
  assert.deepEqual(running(), [])
})
