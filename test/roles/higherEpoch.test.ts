/**
 * What a leader does when it is told of a higher epoch, by who answers at the address that it was
 * told of.
 */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { Instance } from '../../src/cluster/instance.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { RoleMonitor, type RoleMonitorHost } from '../../src/roles/roleMonitor.ts'

const MINE = { node: 'node-m', cluster: 'cluster-a', epoch: 3, term: 3 }
const INSTANCE = new Instance(() => 0)
const TOLD = { node: 'node-b', epoch: 5, term: 5 }

/** A node that answers so when it is asked who leads. Gives its address. */
async function answering(t: TestContext, answer: object): Promise<string> {
  const server = createServer((_, response) => {
    const { port } = server.address() as AddressInfo
    const whole = {
      role: 'leader',
      ready: true,
      txid: 9,
      address: `127.0.0.1:${port}`,
      timeMs: Date.now(),
    }
    response.end(JSON.stringify({ ...whole, ...answer }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/**
 * A leader that node-b tells of epoch 5, and what it does about that. `known`: where it met node-b.
 */
async function told(address: string, known?: string): Promise<string> {
  let looked: Promise<void> = Promise.resolve()
  let did = 'nothing'
  const host: unknown = {
    setup: {
      log: pino({ level: 'silent' }),
      options: { peerLookMs: 1000, peerTimeoutMs: 2000, frozenMs: 1000 },
    },
    members: { addressOf: (node: string) => (node === TOLD.node ? known : undefined) },
    admission: { hold() {}, release() {} },
    instance: INSTANCE.id,
    clock: systemClock,
    twins: { onTwin() {}, tellApart() {}, requireOwn() {} },
    record: () => MINE,
    address: () => '127.0.0.1:1',
    engine: () => ({ role: 'leader' }),
    isChanging: () => false,
    inBackground: (_: string, change: () => Promise<void>) => {
      looked = change()
    },
    stepDown: async (_: object, __: string, leader: string | undefined) =>
      (did = `follows ${leader}`),
    raise: async (_: object, epoch: number) => (did = `raises to ${epoch}`),
  }
  new RoleMonitor(host as RoleMonitorHost).onHigherEpoch({ ...TOLD, address })
  await looked
  return did
}

test('a leader gives way to the node that told it of a higher epoch, where that leads', async (t) => {
  const place = await answering(t, { ...TOLD, cluster: MINE.cluster })
  assert.equal(await told(place), `follows ${place}`)
  const elsewhere = await answering(t, { ...TOLD, cluster: 'cluster-z' })
  assert.equal(await told(elsewhere, place), `follows ${place}`)
})

test('whoever else answers at its address says nothing of that epoch: it counts as told, and nobody is followed', async (t) => {
  for (const answer of [
    { node: 'node-z', cluster: 'cluster-z', epoch: 900, term: 900 },
    { node: 'node-c', cluster: MINE.cluster, epoch: 2, term: 2 },
    { ...MINE, instance: INSTANCE.id },
    { ...MINE, instance: 'another-process' },
  ])
    assert.equal(await told(await answering(t, answer)), 'follows undefined')
})
