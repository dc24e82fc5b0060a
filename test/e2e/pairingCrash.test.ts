/** A join that is cut short at any step goes on when the same command is run again. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import type { Lab } from '../support/lab.ts'
import { labTest } from '../support/lab.ts'
import {
  joinArguments,
  joined,
  pair,
  run,
  startLeader,
  statusOf,
  trustOf,
} from '../support/pairing.ts'

/** In the order in which a first join takes them. */
const STEPS = ['keys', 'trust', 'role'].flatMap((kind) =>
  ['write', 'rename', 'folder'].map((step) => `${kind}.${step}`),
)

/** Joins in a process that ends or fails at a step. Gives what it said. */
async function joinFailing(lab: Lab, args: readonly string[], op: string, kill: boolean) {
  const child = lab.program('joinFailing', { args, op, kill })
  child.expectEnd()
  const { signal } = await child.ended
  return { signal, said: JSON.parse(child.out[0] ?? '{}') }
}

labTest('a host killed or out of room at any step joins with the same command', async (lab) => {
  const leader = await startLeader(lab)
  const code = await pair(lab, leader)
  const args = await joinArguments(lab, code, 'a')
  for (const op of STEPS) {
    for (const kill of [true, false]) {
      // Each time as on a new host, but for the key: the code is good for that alone.
      for (const file of ['node.json', 'keys/cluster.json'])
        rmSync(`${args[3]}-walcast/${file}`, { force: true })
      // The first steps come only while there is no key, and no code is used by then.
      if (op.startsWith('keys.')) rmSync(`${args[3]}-walcast`, { recursive: true, force: true })
      const { signal, said } = await joinFailing(lab, args, op, kill)
      if (kill) assert.equal(signal, 'SIGKILL', op)
      else assert.deepEqual(said, { failed: 'WALCAST_DISK_FULL', hasFailed: true }, op)
    }
  }
  const replica = await joined(lab, args)
  const { node, leader: follows } = await statusOf(lab, replica)
  assert.equal(follows, (await statusOf(lab, leader)).node)
  const { members } = trustOf(leader.db)
  assert.equal(members.length, 2, 'one key is one member')
  assert.ok(members.some((member) => member.node === node && member.address === args[5]))
})

labTest(
  'a node that has left and joins again keeps its new key while the join is cut',
  async (lab) => {
    const leader = await startLeader(lab)
    const args = await joinArguments(lab, await pair(lab, leader), 'a')
    const replica = await joined(lab, args)
    const keyFile = `${args[3]}-walcast/keys/node.key`
    const before = readFileSync(keyFile, 'utf8')
    lab.mayEnd(replica)
    assert.equal((await run(lab, ['leave', '--db', replica.db])).code, 0)
    await replica.child.ended
    args[1] = await pair(lab, leader)
    for (const op of ['left.write', 'keys.rename']) await joinFailing(lab, args, op, true)
    const given = { WALCAST_SECRET: 'a secret of sixteen characters and more' }
    assert.match((await run(lab, args, given)).err, /WALCAST_JOIN_OTHER_SECRET/)
    const key = readFileSync(keyFile, 'utf8')
    assert.notEqual(key, before)
    await joined(lab, args)
    assert.equal(readFileSync(keyFile, 'utf8'), key)
  },
)

labTest('a node killed while it takes a member in knows it, or was not asked', async (lab) => {
  const leader = await startLeader(lab)
  const code = await pair(lab, leader)
  const args = await joinArguments(lab, code, 'a')
  leader.kill('SIGKILL')
  await leader.child.ended
  const away = await run(lab, args)
  assert.match(away.err, /WALCAST_NODE_UNREACHABLE/)
  const back = await lab.restart(leader)
  // The restart ended the code. The host says so, and joins with another.
  const old = await run(lab, args)
  assert.match(old.err, /WALCAST_PAIRING_CODE_WRONG: .*restart/)
  assert.ok(!existsSync(`${args[3]}-walcast/keys/cluster.json`))
  args[1] = await pair(lab, back)
  const { said } = await joinFailing(lab, args, 'trust.write', false)
  assert.equal(said.failed, 'WALCAST_DISK_FULL')
  back.kill('SIGKILL')
  await back.child.ended
  assert.equal(trustOf(leader.db).members.length, 2, 'the entry was durable before the answer')
  const again = await lab.restart(back)
  args[1] = await pair(lab, again)
  const replica = await joined(lab, args)
  assert.equal(trustOf(leader.db).members.length, 2)

  // A node that lost its secret joins again, and keeps its copy.
  await replica.stop()
  const key = readFileSync(`${args[3]}-walcast/keys/node.key`, 'utf8')
  rmSync(`${args[3]}-walcast/keys/cluster.json`)
  const start = await run(lab, ['node', ...args.slice(2)])
  assert.match(start.err, /WALCAST_USAGE: .*walcast join/)
  args[1] = await pair(lab, again)
  const twice = await joined(lab, args)
  assert.equal(readFileSync(`${args[3]}-walcast/keys/node.key`, 'utf8'), key)
  assert.equal(twice.logged('"mode":"resume"').length, 1)

  // One that lost its key as well is another one: its id is that of a member.
  await twice.stop()
  rmSync(`${args[3]}-walcast/keys`, { recursive: true })
  args[1] = await pair(lab, again)
  const taken = await run(lab, args)
  assert.match(taken.err, /WALCAST_PAIRING_NODE_TAKEN: .*--name/)
  const renamed = await joined(lab, [...args, '--name', 'node-anew'])
  assert.equal((await statusOf(lab, renamed)).node, 'node-anew')
  assert.equal(renamed.logged('"mode":"resume"').length, 1)
})
