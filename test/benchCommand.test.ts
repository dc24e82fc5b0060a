/** `walcast bench`: the harness as a child, with its output, its exit code and the signals that reach it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { CLI } from './support/paths.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-bench-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs it to its end; `stopAt` is a text on standard error at which it is asked to stop. */
function bench(args: readonly string[], stopAt?: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, 'bench', ...args], {
      env: { ...process.env, TMPDIR: folder },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
      if (stopAt !== undefined && stderr.includes(stopAt)) child.kill('SIGTERM')
    })
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
}

test('help is for standard output', async () => {
  const { code, stdout, stderr } = await bench(['--help'])
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /walcast bench SUITE/)
})

test('wrong use is one line and exit code 2', async () => {
  for (const args of [[], ['nothing'], ['lag', '--rates', 'x'], ['report', '--json'], ['--no-such-option']]) {
    const { code, stdout, stderr } = await bench(args)
    assert.deepEqual([code, stdout, stderr.trimEnd().split('\n').length], [2, '', 1], args.join(' '))
  }
})

test('a report of a folder without results is made, of no folder it is not', async () => {
  const out = join(folder, 'empty')
  mkdirSync(out)
  assert.equal((await bench(['report', '--out', out])).code, 0)
  assert.deepEqual(readdirSync(out).sort(), ['report.html', 'summary.svg'])
  rmSync(out, { recursive: true })
  const { code, stderr } = await bench(['report', '--out', out])
  assert.equal(code, 1)
  assert.match(stderr, /^report: there is no folder .*\n$/)
})

test('a signal stops the harness, its nodes and its programs, and nothing stays', async () => {
  const args = [
    'lag',
    '--rates',
    '10',
    '--pages',
    '1',
    '--replicas',
    '1',
    '--readers',
    'idle',
    '--rounds',
    '1',
  ]
  const { code, stdout } = await bench([...args, '--out', join(folder, 'out')], 'round 1, walcast')
  assert.deepEqual([code, stdout], [1, ''])
  assert.deepEqual(readdirSync(folder), [])
})
