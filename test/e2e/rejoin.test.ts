/** Nodes that are members no more: what they are told, and how they become members again. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../src/cli/freePorts.ts'
import { TrustFile } from '../../src/cluster/trustFile.ts'
import { statusLocally } from '../support/controlSocket.ts'
import { campaignTest, type Lab, labTest } from '../support/lab.ts'
import { joinArguments, joined, pair, run, startLeader, trustOf } from '../support/pairing.ts'
import { PROGRAMS } from '../support/paths.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'

const SECRET = { WALCAST_SECRET: 'a secret of sixteen characters and more' }
const PRELOAD = `--import ${join(PROGRAMS, 'shiftedClock.js')}`
/** Past an overlap of five minutes. */
const LATE = { ...SECRET, NODE_OPTIONS: PRELOAD, TEST_CLOCK_SHIFT_MS: '3600000' }

async function told(node: TestNode, error: string): Promise<void> {
  await until(`it is told ${error}`, () => node.logged(error).length > 0)
  assert.match(node.logged(error)[0], /walcast pair.*walcast join CODE --db FILE/)
  await until('its status says so', async () => {
    const { causes = [] } = await statusLocally(node.db)
    return causes.some(({ code, text }) => code === 'not-a-member' && text.includes(error))
  })
}

async function follows(lab: Lab, leader: TestNode, node: TestNode): Promise<void> {
  await lab.exec(leader.db, "INSERT INTO log (who) VALUES ('later')")
  const { txid } = await statusLocally(leader.db)
  await until('it follows', async () => (await statusLocally(node.db)).txid >= txid)
}

campaignTest('a node that was removed joins with a new key, by the same command', async (lab) => {
  const leader = await startLeader(lab)
  const args = await joinArguments(lab, await pair(lab, leader), 'a')
  const first = await joined(lab, args)
  const { node } = await statusLocally(first.db)
  const removed = await run(lab, ['remove', node, '--db', leader.db])
  assert.equal(removed.code, 0, removed.err)
  await told(first, 'WALCAST_KEY_REMOVED')
  args[1] = await pair(lab, leader)
  const busy = await run(lab, args)
  assert.match(busy.err, /WALCAST_ALREADY_RUNNING/)
  await first.stop()
  const again = await joined(lab, args)
  assert.equal(again.logged('it joins with a new key').length, 1)
  assert.equal(again.logged('"mode":"resume"').length, 1)
  assert.equal((await statusLocally(again.db)).node, node)
  await follows(lab, leader, again)
  assert.equal(trustOf(leader.db).members.length, 2)

  // Without its folder the copy is a database like any other, and the node has no id.
  await again.stop()
  rmSync(`${again.db}-walcast`, { recursive: true })
  args[1] = await pair(lab, leader)
  const foreign = await run(lab, args)
  assert.match(foreign.err, /WALCAST_NOT_A_COPY: .*; .*move/)
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${again.db}${suffix}`, { force: true })
  const other = await joined(lab, args)
  assert.notEqual((await statusLocally(other.db)).node, node)
  await follows(lab, leader, other)
  const lost = await run(lab, ['remove', node, '--db', leader.db])
  assert.equal(lost.code, 0, lost.err)
})

campaignTest(
  'in plain text too a node learns that its secret has ended, and joins again',
  async (lab) => {
    const leader = await startLeader(lab, SECRET, ['--peer-look', '200ms'])
    const options = { environment: SECRET, flags: ['--peer-look', '200ms'] }
    const away = await lab.replica(lab.path('a.db'), leader, options)
    await until('both know both', () =>
      [leader, away].every(({ db }) => trustOf(db).members.length === 2),
    )
    const { node } = await statusLocally(away.db)
    await away.stop()
    const rotated = await run(lab, ['rotate-secret', '--db', leader.db, '--overlap', '5m'])
    assert.equal(rotated.code, 0, rotated.err)
    await leader.stop()
    const led = await lab.restart(leader, { environment: LATE })
    const back = await lab.restart(away, { environment: LATE })
    await told(back, 'WALCAST_SECRET_ENDED')
    assert.ok((await led.metric('walcast_ended_secret_refusals_total')) > 0)
    await back.stop()
    const code = await pair(lab, led)
    const listen = `127.0.0.1:${away.options.port}`
    const again = await joined(lab, ['join', code, '--db', away.db, '--listen', listen], LATE)
    assert.equal(again.logged('"mode":"resume"').length, 1)
    assert.equal((await statusLocally(again.db)).node, node)
    await follows(lab, led, again)
  },
)

labTest('walcast run ends its application, then its node, when the node has left', async (lab) => {
  const leader = await startLeader(lab, SECRET)
  const [db, port] = [lab.path('a.db'), await freePort()]
  const app = [join(PROGRAMS, 'bootingApp.js'), JSON.stringify({ db, name: 'app', bootMs: 0 })]
  const flags = ['--db', db, '--listen', `127.0.0.1:${port}`, '--leader', leader.address, '--tls']
  const ports = ['--ports', String(await freePort()), '--restart', 'always']
  const command = ['--', process.execPath, ...app]
  const child = lab.cli(['run', ...flags, ...ports, ...command], SECRET)
  child.expectEnd()
  await child.line((line) => line.includes('"listens"'))
  // The application may listen before the node has written down which cluster it belongs to.
  await until('it is a member', () => (TrustFile.peek(`${db}-walcast`)?.cluster ?? '') !== '')
  const left = await run(lab, ['leave', '--db', db])
  assert.equal(left.code, 0, left.err)
  assert.match(left.out, /^node \S+ has left cluster \S+: \S+ is a plain copy as of \d+-\d+$/m)
  assert.equal((await child.ended).code, 0)
  const order = ['leaves its cluster; stopping', 'the application has ended', 'has left cluster']
  const places = order.map((text) => child.err.findIndex((line) => line.includes(text)))
  assert.deepEqual(
    places.toSorted((a, b) => a - b),
    places,
  )
  assert.ok(
    places.every((at) => at >= 0),
    child.err.join('\n'),
  )
  assert.match(child.err[places[2]], /walcast join CODE --db FILE/)
})
