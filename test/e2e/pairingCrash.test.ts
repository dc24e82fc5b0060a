/** A join that is cut short at any step goes on when the same command is run again. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { type JoinCrash, joinCrashes, joinFailing } from '../campaigns/joinCrashes.ts'
import { campaignTest, labTest } from '../support/lab.ts'
import {
  joinArguments,
  joined,
  pair,
  run,
  startLeader,
  statusOf,
  trustOf,
} from '../support/pairing.ts'

/** The campaign has each step, killed and out of room. */
const SAMPLE: readonly JoinCrash[] = [
  ['keys.rename', true],
  ['trust.write', false],
  ['trust.rename', true],
  ['role.write', true],
  ['role.rename', false],
  ['role.folder', true],
]

labTest('a host killed or out of room in a join joins with the same command', (lab) =>
  joinCrashes(lab, SAMPLE),
)

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

campaignTest('a node killed while it takes a member in knows it, or was not asked', async (lab) => {
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
