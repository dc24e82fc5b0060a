/** A pause of role changes: known to all members, and in nobody's way once it is over. */
import assert from 'node:assert/strict'
import type { Child } from '../support/child.ts'
import { type Lab, labTest } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const SECRET = { WALCAST_SECRET: 'a secret of sixteen characters and more' }
const FLAGS = ['--heartbeat', '100ms']
const QUICK = [...FLAGS, '--reconnect-max', '100ms']

async function pair(lab: Lab): Promise<readonly [TestNode, TestNode]> {
  await makeDatabase(lab, lab.path('a.db'))
  const environment = SECRET
  const leader = await lab.leader(lab.path('a.db'), { environment, flags: FLAGS })
  const replica = await lab.replica(lab.path('b.db'), leader, { environment, flags: QUICK })
  await replica.ready()
  // Each has met the other: what one is told, the other hears.
  await until('the leader knows its replica', async () =>
    (await leader.status()).members?.some(({ address }) => address === replica.address),
  )
  for (const node of [leader, replica])
    await until('it knows the keys of its cluster', async () => {
      const { status } = await node.get('/_walcast/tokens')
      return status === 200
    })
  return [leader, replica]
}

function command(lab: Lab, ...args: string[]) {
  return endOf(lab.cli(args, SECRET))
}

async function endOf(child: Child) {
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

labTest('nobody changes roles during a pause, and any node ends it', async (lab) => {
  const [leader, replica] = await pair(lab)
  const args = ['--for', '30m', '--reason', 'a new disk']
  const paused = await command(lab, 'pause', replica.address, ...args)
  assert.equal(paused.code, 0, paused.err)
  assert.match(paused.out, /^role changes are paused until .+Z by .+: a new disk$/m)
  assert.match(paused.out, /knows it/)

  for (const node of [leader, replica]) {
    const { reason } = (await node.status()).paused ?? {}
    assert.equal(reason, 'a new disk')
    const { status, text } = await node.post('/_walcast/switchover', {})
    assert.equal(status, 409, text)
    assert.match(text, /WALCAST_ROLE_CHANGES_PAUSED.+\(a new disk\)/)
  }
  const shown = await command(lab, 'cluster', leader.address)
  assert.match(shown.out, /role changes +PAUSED until/)
  const demoted = await leader.post('/_walcast/demote', {})
  assert.match(demoted.text, /WALCAST_ROLE_CHANGES_PAUSED/)
  const created = await command(lab, 'token', 'create', '--role', 'operate', '--db', leader.db)
  const asNode = await fetch(`${leader.url}/_walcast/demote?epoch=9`, {
    method: 'POST',
    headers: { authorization: `Bearer ${created.out.split('\n')[0]}` },
  })
  assert.equal(asNode.status, 400, 'no token goes around it in the name of a node')

  leader.kill('SIGKILL')
  await leader.child.ended
  const refused = await command(lab, 'promote', replica.address)
  assert.equal(refused.code, 1)
  assert.match(refused.err, /^WALCAST_ROLE_CHANGES_PAUSED: .+: walcast resume$/m)
  assert.equal((await replica.status()).role, 'replica')

  const resumed = await command(lab, 'resume', replica.address)
  assert.match(resumed.out, /possible again\n.+\n.+\n1 not reached; each is told when it is back/)
  const promoted = await command(lab, 'promote', replica.address)
  assert.equal(promoted.code, 0, promoted.err)

  const back = await lab.restart(leader)
  await until('it follows, and hears that the pause is over', async () => {
    const { role, paused: still } = await back.status()
    return role === 'replica' && still === undefined
  })
  const audit = await command(lab, 'audit', replica.address)
  for (const action of ['pause', 'resume']) assert.match(audit.out, new RegExp(`${action} +done`))
})

labTest('a cluster without a secret has no members to tell of a pause', async (lab) => {
  await makeDatabase(lab, lab.path('a.db'))
  const leader = await (await lab.leader(lab.path('a.db'), { flags: FLAGS })).ready()
  const { code, err } = await endOf(lab.cli(['pause', leader.address]))
  assert.equal(code, 1)
  assert.match(err, /^WALCAST_OPEN_CLUSTER: /)
})

for (const [args, why] of [
  [['--for', '2d'], /--for wants a time from 1m to 24h/],
  [['--for', 'now'], /--for wants a time from 1m to 24h/],
  [['--reason', 'x'.repeat(101)], /--reason has more than 100 characters/],
] as const)
  labTest(`a wrong pause is refused before it is asked for: ${args[0]}`, async (lab) => {
    const { code, err } = await command(lab, 'pause', '127.0.0.1:1', ...args)
    assert.equal(code, 2)
    assert.match(err, why)
  })
