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
