/** Secrets and keys replaced, members removed and gone, while nodes run. */
import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type {
  RemovedAnswer,
  RotatedKeyAnswer,
  RotatedSecretAnswer,
} from '../../src/api/membership.ts'
import { TrustFile } from '../../src/cluster/trustFile.ts'
import type { TrustRecord } from '../../src/cluster/trustRecord.ts'
import { statusLocally } from '../support/controlSocket.ts'
import { type Lab, labTest, nodeArguments } from '../support/lab.ts'
import { joinArguments, pair } from '../support/pairing.ts'
import { PROGRAMS } from '../support/paths.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const SECRET = { WALCAST_SECRET: 'a secret of sixteen characters and more' }
const FLAGS = ['--tls', '--peer-look', '200ms']
const OPTIONS = { environment: SECRET, flags: FLAGS }
const HOUR_MS = 3_600_000

function recordOf({ db }: Pick<TestNode, 'db'>): TrustRecord | undefined {
  return TrustFile.peek(`${db}-walcast`)
}

async function run(lab: Lab, args: readonly string[], environment: Record<string, string> = {}) {
  const child = lab.cli(args, environment)
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

async function start(lab: Lab, names: readonly string[]) {
  await makeDatabase(lab, lab.path('leader.db'))
  const leader = await lab.leader(lab.path('leader.db'), OPTIONS)
  const replicas: TestNode[] = []
  for (const name of names)
    replicas.push(await lab.replica(lab.path(`${name}.db`), leader, OPTIONS))
  const nodes = [leader, ...replicas]
  for (const node of nodes)
    await until(`${node.db} knows all`, () => recordOf(node)?.members.length === nodes.length)
  return { leader, replicas }
}

/** The secret of the environment may have ended. */
const statusOf = ({ db }: TestNode) => statusLocally(db)

async function insert(lab: Lab, leader: TestNode): Promise<void> {
  await lab.exec(leader.db, "INSERT INTO log (who) VALUES ('later')")
}

async function level(leader: TestNode, replica: TestNode): Promise<void> {
  const { txid } = await statusOf(leader)
  await until('it is level', async () => (await statusOf(replica)).txid >= txid)
}

function shifted(shiftMs: number): Record<string, string> {
  const preload = `--import ${join(PROGRAMS, 'shiftedClock.js')}`
  return { ...SECRET, NODE_OPTIONS: preload, TEST_CLOCK_SHIFT_MS: String(shiftMs) }
}

labTest('a new secret reaches all members, and signs and ends when it is time', async (lab) => {
  const { leader, replicas } = await start(lab, ['a', 'b'])
  const [a, b] = replicas
  const done = await run(lab, ['rotate-secret', '--db', a.db, '--json', '--overlap', '1h'])
  assert.equal(done.code, 0, done.err)
  const { id, older, members } = JSON.parse(done.out) as RotatedSecretAnswer
  assert.deepEqual([older.length, members.map(({ knows }) => knows)], [1, [true, true]])
  for (const node of [leader, a, b]) assert.equal(recordOf(node)?.secrets.at(-1)?.id, id)
  const again = await run(lab, ['rotate-secret', '--db', b.db])
  assert.match(again.err, /WALCAST_ROTATION_UNDER_WAY/)
  const short = await run(lab, ['rotate-secret', '--db', b.db, '--overlap', '1m'])
  assert.equal(short.code, 2)
  for (const node of [leader, a, b]) {
    const entries = (await statusOf(node)).audit ?? []
    assert.ok(
      !entries.some(({ action }) => action === 'peer'),
      'no member was taken for a stranger',
    )
  }
  // Within the overlap one node after the other comes to a time at which the new one signs.
  const ten = { environment: shifted(600_000) }
  await b.stop()
  const early = await lab.restart(b, ten)
  await insert(lab, leader)
  await level(leader, early)
  const [audit] = (await statusOf(a)).audit?.slice(-1) ?? []
  assert.deepEqual([audit?.action, audit?.outcome], ['rotate-secret', 'done'])
  // Past the overlap all go on, with the secret of the record alone, and say so.
  const late = { environment: shifted(2 * HOUR_MS) }
  for (const node of [leader, a, early]) await node.stop()
  const [led, ...followed] = [
    await lab.restart(leader, late),
    await lab.restart(a, late),
    await lab.restart(early, late),
  ]
  await insert(lab, led)
  for (const node of followed) {
    await level(led, node)
    assert.equal(node.logged('was replaced by walcast rotate-secret').length, 1)
  }
})

labTest('a node that was away longer than the overlap is told how to come back', async (lab) => {
  const { leader, replicas } = await start(lab, ['a', 'b'])
  const [a, b] = replicas
  await b.stop()
  const done = await run(lab, ['rotate-secret', '--db', leader.db, '--json', '--overlap', '5m'])
  const { members } = JSON.parse(done.out) as RotatedSecretAnswer
  assert.deepEqual(members.map(({ knows }) => knows).sort(), [false, true])
  await a.stop()
  await leader.stop()
  const late = { environment: shifted(HOUR_MS) }
  const led = await lab.restart(leader, late)
  const follower = await lab.restart(a, late)
  const away = await lab.restart(b, late)
  await until('it is told', () => away.logged('WALCAST_SECRET_ENDED').length > 0)
  assert.match(away.logged('WALCAST_SECRET_ENDED')[0], /walcast join CODE/)
  const { txid } = await statusOf(led)
  await insert(lab, led)
  await until('it is captured', async () => (await statusOf(led)).txid > txid)
  await level(led, follower)
  assert.notEqual((await statusOf(away)).txid, (await statusOf(led)).txid)
  assert.equal((await statusOf(led)).role, 'leader')
})

labTest('a node that heard nothing of a rotation does not undo it by pairing', async (lab) => {
  const { leader, replicas } = await start(lab, ['a'])
  const [a] = replicas
  await a.stop()
  const rotated = await run(lab, ['rotate-secret', '--db', leader.db, '--overlap', '1h'])
  assert.equal(rotated.code, 0, rotated.err)
  await leader.stop()
  const alone = await lab.restart(a)
  const code = await pair(lab, alone)
  const child = lab.cli(await joinArguments(lab, code, 'c'))
  await child.errorLine((line) => line.includes('joined the cluster'))
  await child.stop()
  const led = await lab.restart(leader)
  const both = [led, alone]
  for (const node of both)
    await until('all know all', () => {
      const { members = [], secrets = [] } = recordOf(node) ?? {}
      return members.length === 3 && secrets.length === 2
    })
  for (const node of both) {
    const ends = recordOf(node)?.secrets.map(({ endsAt }) => endsAt !== undefined)
    assert.deepEqual(ends, [true, false])
  }
})

labTest('a node within the overlap is back by itself', async (lab) => {
  const { leader, replicas } = await start(lab, ['a', 'b'])
  const [a, b] = replicas
  await b.stop()
  await run(lab, ['rotate-secret', '--db', leader.db, '--overlap', '1h'])
  for (const node of [leader, a]) await node.stop()
  const later = { environment: shifted(600_000) }
  const led = await lab.restart(leader, later)
  const follower = await lab.restart(a, later)
  const back = await lab.restart(b, later)
  await insert(lab, led)
  for (const node of [follower, back]) await level(led, node)
  await until('it knows the new secret', () => recordOf(back)?.secrets.length === 2)
})

labTest('a removed node loses its stream at once, and finds no way back', async (lab) => {
  const { leader, replicas } = await start(lab, ['a', 'b'])
  const [a, b] = replicas
  const { node } = await statusOf(b)
  await a.stop()
  const unknown = await run(lab, ['remove', 'nobody', '--db', leader.db])
  assert.match(unknown.err, /WALCAST_MEMBER_UNKNOWN/)
  const itself = await run(lab, ['remove', (await statusOf(leader)).node, '--db', leader.db])
  assert.match(itself.err, /WALCAST_MEMBER_KEPT/)
  const kept = await run(lab, ['remove', (await statusOf(leader)).node, '--db', b.db])
  assert.match(kept.err, /WALCAST_MEMBER_KEPT/)
  const done = await run(lab, ['remove', node, '--db', leader.db, '--json'])
  assert.equal(done.code, 0, done.err)
  const { keys, members } = JSON.parse(done.out) as RemovedAnswer
  assert.deepEqual([keys.length, members.map(({ knows }) => knows)], [1, [false]])
  await until('it is told', () => b.logged('WALCAST_KEY_REMOVED').length > 0)
  await insert(lab, leader)
  await until('the leader has forgotten it', async () => {
    const { members: known = [], replicas: listed } = await statusOf(leader)
    return ![...known, ...listed].some((each) => each.node === node && each.node !== '')
  })
  const back = await lab.restart(a)
  await level(leader, back)
  await until('who was away knows', () => recordOf(back)?.removedMembers.length === 1)
  assert.notEqual((await statusOf(b)).txid, (await statusOf(leader)).txid)
})

labTest('a replica leaves: its keys are gone, its file stays, a leader refuses', async (lab) => {
  const { leader, replicas } = await start(lab, ['a'])
  const [a] = replicas
  const refused = await run(lab, ['leave', '--db', leader.db])
  assert.match(refused.err, /WALCAST_LEADER_LEAVES/)
  lab.mayEnd(a)
  const done = await run(lab, ['leave', '--db', a.db])
  assert.equal(done.code, 0, done.err)
  assert.match(done.out, /has left cluster[\s\S]*walcast join CODE/)
  assert.equal((await a.child.ended).code, 0)
  assert.ok(!existsSync(`${a.db}-walcast/keys`))
  assert.ok(statSync(a.db).size > 0)
  await until('the leader refuses its key', () => recordOf(leader)?.removedMembers.length === 1)
  const again = lab.cli(nodeArguments('replica', a.options), SECRET)
  await again.errorLine((text) => text.includes('WALCAST_LEFT'))
  assert.equal((await again.ended).code, 1)
  const once = await run(lab, ['leave', '--db', a.db])
  assert.deepEqual([once.code, once.out], [0, done.out])
})

labTest('a new key of settings: old values are read on all nodes, with either key', async (lab) => {
  const { leader, replicas } = await start(lab, ['a'])
  const [a] = replicas
  const set = lab.cli(['settings', 'set', 'password', '-', '--encrypt', '--db', leader.db])
  set.write('a secret value')
  set.closeInput()
  assert.equal((await set.ended).code, 0)
  const before = recordOf(leader)?.keks.at(-1)?.id
  const done = await run(lab, ['rotate-key', '--db', a.db, '--json'])
  assert.equal(done.code, 0, done.err)
  const { id, older, wrapped } = JSON.parse(done.out) as RotatedKeyAnswer
  assert.deepEqual([older, wrapped], [[before], 1])
  await level(leader, a)
  for (const node of [leader, a]) {
    const read = await run(lab, ['settings', 'get', 'password', '--db', node.db])
    assert.equal(read.out, 'a secret value', read.err)
  }
  assert.equal(recordOf(a)?.keks.at(-1)?.id, id)
  await a.stop()
  const unaware = await run(lab, ['rotate-key', '--db', leader.db])
  assert.equal(unaware.code, 1)
  assert.match(unaware.err, /does not know it yet/)
})
