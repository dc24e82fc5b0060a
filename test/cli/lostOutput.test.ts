/** Readers of the output that leave, as `head` does, and an output that cannot be written. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { CLI } from '../support/paths.ts'

interface Ended {
  readonly code: number | null
  readonly told: string
}

async function ended(child: ChildProcess): Promise<Ended> {
  const [told, [code]] = await Promise.all([
    child.stderr && !child.stderr.destroyed ? text(child.stderr) : '',
    once(child, 'exit') as Promise<[number | null]>,
  ])
  return { told, code }
}

test('a reader that has left gets no stack trace, and the command ends as usual', async () => {
  for (const [args, code, told] of [
    [['--help'], 0, ''],
    [['version'], 0, ''],
    [['explain', 'USAGE'], 0, ''],
    [['completion', 'zsh'], 0, ''],
    [['node', '--help', '--all'], 0, ''],
    [['nothing'], 2, 'WALCAST_USAGE: unknown command "nothing"; see walcast --help\n'],
  ] as const) {
    const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    // Long before it has anything to write.
    child.stdout.destroy()
    assert.deepEqual(await ended(child), { code, told }, args.join(' '))
  }
})

test('nobody to tell of a failure is no other failure', async () => {
  const child = spawn(process.execPath, [CLI, 'nothing'], { stdio: ['ignore', 'ignore', 'pipe'] })
  child.stderr.destroy()
  assert.equal((await ended(child)).code, 2)
})

test('an output that is full is a failure in one line', async () => {
  const full = openSync('/dev/full', 'w')
  try {
    for (const args of [['--help'], ['completion', 'bash']]) {
      const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', full, 'pipe'] })
      const { code, told } = await ended(child)
      assert.match(told, /^WALCAST_DISK_FULL: .*standard output; .*\n$/)
      assert.equal(told.split('\n').length, 2)
      assert.equal(code, 1)
    }
  } finally {
    closeSync(full)
  }
})
