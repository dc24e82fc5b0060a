/** Options of a node that is started in one role and may come to have the other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeOptions } from '../src/cli/nodeArguments.ts'
import { embeddedOptions } from '../src/node/embeddedOptions.ts'

const FLAGS = ['--db', 'a.db', '--listen', '127.0.0.1:1']

test('what tunes the other role is taken from the environment, what makes a node one is not', () => {
  const environment = { WALCAST_READ_WAIT: '30s', WALCAST_LEADER: '127.0.0.1:2', WALCAST_STANDBY: 'true' }
  const leader = nodeOptions('leader', FLAGS, environment)
  assert.deepEqual([leader.readWaitMs, leader.leader, leader.standby], [30_000, undefined, false])
  const replica = nodeOptions('replica', FLAGS, { ...environment, WALCAST_SOFT_WAL: '33' })
  assert.deepEqual([replica.softWalFrames, replica.leader, replica.standby], [33, '127.0.0.1:2', true])
  assert.throws(() => nodeOptions('leader', FLAGS, { WALCAST_READ_WAIT: 'long' }), { key: 'USAGE' })
  assert.throws(() => nodeOptions('leader', [...FLAGS, '--read-wait', '30s'], {}), { key: 'USAGE' })
})

test('a program may give both roles the same options', () => {
  assert.deepEqual(embeddedOptions('leader', { readWaitMs: 30_000, standby: false }), { readWaitMs: 30_000 })
  assert.deepEqual(embeddedOptions('replica', { softWalFrames: 33 }), { softWalFrames: 33 })
  assert.throws(() => embeddedOptions('leader', { standby: true }), { key: 'USAGE' })
})
