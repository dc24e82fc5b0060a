/** Options of a node that starts in one role and may later have the other. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { nodeOptions } from '../../src/cli/nodeArguments.ts'
import { embeddedOptions } from '../../src/embed/embeddedOptions.ts'
import { defaultOptions } from '../../src/options/defaults.ts'
import type { NodeOptions } from '../../src/options/nodeOptions.ts'
import { optionProblems } from '../../src/options/optionProblems.ts'

const FLAGS = ['--db', 'a.db', '--listen', '127.0.0.1:1']

test('the environment may tune the other role, but cannot set its required options', () => {
  const environment = {
    WALCAST_READ_WAIT: '30s',
    WALCAST_LEADER: '127.0.0.1:2',
    WALCAST_STANDBY: 'true',
  }
  const leader = nodeOptions('leader', FLAGS, environment)
  assert.deepEqual([leader.readWaitMs, leader.leader, leader.standby], [30_000, undefined, false])
  const replica = nodeOptions('replica', FLAGS, { ...environment, WALCAST_SOFT_WAL: '33' })
  assert.deepEqual(
    [replica.softWalFrames, replica.leader, replica.standby],
    [33, '127.0.0.1:2', true],
  )
  assert.throws(() => nodeOptions('leader', FLAGS, { WALCAST_READ_WAIT: 'long' }), { key: 'USAGE' })
  assert.throws(() => nodeOptions('leader', [...FLAGS, '--read-wait', '30s'], {}), { key: 'USAGE' })
})

test('a program may give both roles the same options', () => {
  assert.deepEqual(embeddedOptions('leader', { readWaitMs: 30_000, standby: false }), {
    readWaitMs: 30_000,
  })
  assert.deepEqual(embeddedOptions('replica', { softWalFrames: 33 }), { softWalFrames: 33 })
  assert.throws(() => embeddedOptions('leader', { standby: true }), { key: 'USAGE' })
})

test('an empty flag is an error, an empty variable counts as not set', () => {
  const replica = [...FLAGS, '--leader', '127.0.0.1:2']
  const problem = (args: readonly string[], environment: NodeJS.ProcessEnv = {}) => {
    try {
      nodeOptions('replica', args, environment)
    } catch (error) {
      return String(error)
    }
    return ''
  }
  assert.match(problem([...replica, '--copy-mode', '']), /--copy-mode wants an octal mode/)
  assert.match(problem([...replica, '--name=']), /--name wants/)
  assert.match(problem([...FLAGS, '--leader', '']), /--leader wants HOST:PORT, not ""/)
  for (const none of ['', ' , '])
    assert.match(problem([...replica, '--backup', none]), /--backup wants a folder, or a URL/)
  assert.match(problem(FLAGS, { WALCAST_LEADER: '' }), /--leader HOST:PORT is required/)
  assert.equal(problem(replica, { WALCAST_COPY_MODE: '', WALCAST_NAME: '' }), '')
  assert.match(
    problem([...replica, '--max-waits', '-1']),
    /--max-waits wants a whole number, not "-1"/,
  )
  assert.match(problem([...replica, '--drain', '-1s']), /--drain wants a time .* not "-1s"/)
  assert.match(problem([...replica, '--name', '--standby']), /--name wants a value/)
})

test('a file mode in the TOML file needs quotation marks', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-arguments-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const config = join(folder, 'walcast.toml')
  const read = (text: string) => {
    writeFileSync(config, text)
    return nodeOptions('replica', [...FLAGS, '--leader', '127.0.0.1:2', '--config', config], {})
      .copyMode
  }
  assert.equal(read('copy-mode = "0640"'), 0o640)
  for (const mode of ['0o640', '640'])
    assert.throws(() => read(`copy-mode = ${mode}`), {
      key: 'USAGE',
      message: 'copy-mode wants a mode in quotation marks, such as "0640"',
    })
})

test('limits that are too small, or in the wrong order, are refused', () => {
  const problems = (given: Partial<NodeOptions>) =>
    optionProblems({ ...defaultOptions(), ...given } as NodeOptions)
  assert.deepEqual(problems({}), [])
  assert.deepEqual(problems({ softWalFrames: 100, hardWalFrames: 100, maxWalBytes: 2 ** 20 }), [])
  assert.deepEqual(problems({ scrubRate: 0 }), [])
  for (const [given, said] of [
    [{ scrubRate: 4 }, ['--scrub-rate wants at least 64KiB, or 0 to turn it off, not 4 bytes']],
    [{ keep: '3d:all' }, ['--keep wants --backup']],
    [{ keep: '3d:all', backup: [] }, ['--keep wants --backup']],
    [
      { drillCheck: 'SELECT 1', backupRecipients: 'a', drill: 'off' },
      [
        '--backup-recipients wants --backup',
        '--drill wants --backup',
        '--drill-check wants --backup',
      ],
    ],
    [{ snapshotKeep: '3' }, ['--snapshot-keep wants --snapshot-to']],
    [{ keep: '3d:all', drillCheck: 'SELECT 1', backup: ['a'] }, []],
    [{ softWalFrames: 0 }, ['--soft-wal wants at least 10, not 0']],
    [{ softWalFrames: 900 }, ['--soft-wal 900 is above --hard-wal 850']],
    [
      { hardWalFrames: 200_000 },
      ['--hard-wal 200000 (frames) is above --max-wal 67108864 (bytes)'],
    ],
    [
      { maxWalBytes: 64 },
      [
        '--max-wal wants at least 1MiB, not 64 bytes',
        '--hard-wal 850 (frames) is above --max-wal 64 (bytes)',
      ],
    ],
  ] as const)
    assert.deepEqual(problems(given), said)
})
