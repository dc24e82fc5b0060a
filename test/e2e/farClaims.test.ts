/**
 * Epochs and txids that no node can have reached: whoever claims them moves no leader, takes no
 * replica along, and leaves nothing in a role file.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { encode } from '../../proto/codec.ts'
import type { Body, Message, MessageType } from '../../proto/messages.ts'
import { fakeNode } from '../support/fakeNode.ts'
import { campaignTest, type Lab, labTest, requireSame } from '../support/lab.ts'
import { altered, MessageProxy } from '../support/messageProxy.ts'
import { RawClient } from '../support/rawClient.ts'
import type { TestNode } from '../support/testNode.ts'
import { until, within } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const CLAIMS = 'walcast_refused_claims_total'
const MESSAGES = 'walcast_refused_messages_total'
/** The nodes of these tests are in epoch 1, and none has given out a txid above 1,000,100. */
const FAR = 2 ** 32 + 2_000_000
const IMPOSSIBLE = [2 ** 48 + 1, 2 ** 53 - 1, 2 ** 53, 1e300, -1, 1.5]

/** The epoch, term and txids of a role file, and how its incarnations began. */
function kept({ db }: TestNode): object {
  const { epoch, term, txidCeiling, role, lineage, leader } = JSON.parse(
    readFileSync(`${db}-walcast/node.json`, 'utf8'),
  )
  return { epoch, term, txidCeiling, role, lineage, leader }
}

async function startLeader(lab: Lab, flags: readonly string[] = []): Promise<TestNode> {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  return lab.leader(db, { flags: ['--name', 'node-a', ...flags] })
}

campaignTest('a node that answers with numbers out of reach moves no leader', async (lab) => {
  let said: object = {}
  let asked = 0
  const fake = await fakeNode({ after: (end) => lab.atEnd(end) }, () => {
    asked++
    const about = { node: 'node-z', role: 'leader', ready: true, address: fake.address }
    return { body: { ...about, epoch: 1, term: 0, txid: 1, timeMs: Date.now(), ...said } }
  })
  const leader = await startLeader(lab, ['--peers', fake.address, '--peer-look', '20ms'])
  const { cluster } = await leader.status()
  const before = kept(leader)
  const lookedAt = async () => {
    const from = asked
    await until('it was asked again', () => asked > from + 2)
  }
  for (const role of ['leader', 'replica'])
    for (const number of [FAR, ...IMPOSSIBLE])
      for (const name of ['epoch', 'term', 'txid', 'positionEpoch']) {
        const counted = await leader.metric(CLAIMS)
        said = { cluster, role, epoch: 9, term: 9, lastLeader: 'node-a', [name]: number }
        await until(
          `${role} ${name} ${number} is counted`,
          async () => (await leader.metric(CLAIMS)) > counted,
        )
        said = {}
      }
  for (const wrong of [
    { epoch: '9' },
    { term: null },
    { txid: [9] },
    { history: '0123456789abcdef@281474976710657' },
    { node: 'node-z\u001b[2J' },
    { node: '\u202eb-edon' },
    { node: 'x'.repeat(129) },
    { address: 'node-z' },
    { address: 'evil@10.0.0.1:1' },
    { cluster: 5 },
    { instance: '\u001b' },
    { lastLeader: 'a b' },
    { timeMs: 1e300 },
    { upMs: -1 },
  ]) {
    said = { cluster, epoch: 9, term: 9, ...wrong }
    await lookedAt()
  }
  said = {}
  for (const epoch of [FAR, 2 ** 53 - 1, 2 ** 53, -1, 1.5])
    for (const path of ['demote', 'take-over']) {
      const more = { txid: 1, checksum: '0', from: 'node-z', to: 'node-a', until: 2 ** 53 - 1 }
      const body = { leader: fake.address, epoch, ...(path === 'demote' ? {} : more) }
      const { status } = await leader.post(`/_walcast/${path}`, body)
      assert.ok(status === 400 || status === 409, `${path} in epoch ${epoch}: ${status}`)
    }
  assert.equal((await leader.status()).role, 'leader')
  assert.deepEqual(kept(leader), before)
  // It asks before it leads again, and nothing of this keeps it from leading.
  said = { cluster, epoch: 2 ** 53 - 1, term: 2 ** 53 - 1 }
  await leader.stop()
  const again = await lab.restart(leader)
  await again.ready()
  assert.equal((await again.status()).role, 'leader')
  assert.deepEqual(
    [(await again.status()).epoch, (await again.metric(CLAIMS, 'epoch')) > 0],
    [1, true],
  )
})

type Send = (client: RawClient, number: number) => void

campaignTest(
  'messages with numbers out of reach end the connection and change nothing',
  async (lab) => {
    const leader = await startLeader(lab)
    const { cluster } = await leader.status()
    const before = kept(leader)
    const here = { db: 'main', node: 'node-z', epoch: 1, txid: 1 }
    const below = {
      ...here,
      ...{ instance: '', upMs: 1, via: '', address: '', lagMs: 0, connected: true, silentMs: 0 },
    }
    const seen = { ...here, history: '', highestEpoch: 1, term: 0, leader: 'node-a' }
    const ack = { db: 'main', epoch: 1, txid: 1, checksum: '', durableTxid: 0, lagMs: 0 }
    const hello = (name: string): [string, Send] => [
      `hello.${name}`,
      (client, number) => client.hello({ cluster, leader: 'node-a', [name]: number }),
    ]
    const later = <T extends MessageType>(type: T, body: Body<T>, name: string): [string, Send] => [
      `${type}.${name}`,
      (client, number) => {
        client.hello({ cluster, node: 'node-y' })
        client.send(encode(type, { ...body, [name]: number }))
      },
    ]
    const sends: [string, Send][] = [
      ...['epoch', 'txid', 'highestEpoch', 'term'].map(hello),
      ...['epoch', 'txid', 'highestEpoch', 'term'].map((name) => later('seen', seen, name)),
      ...['epoch', 'txid', 'durableTxid'].map((name) => later('ack', ack, name)),
      ...['epoch', 'txid'].map((name) => later('below', below, name)),
    ]
    for (const [what, send] of sends)
      for (const number of [FAR, ...IMPOSSIBLE]) {
        const [claims, messages] = [await leader.metric(CLAIMS), await leader.metric(MESSAGES)]
        const client = await RawClient.open(leader)
        send(client, number)
        await within(`cut off after ${what} ${number}`, client.closed)
        const last = client.messages.at(-1)
        const code = number === FAR ? 'CLAIM_REFUSED' : 'MESSAGE_BAD'
        assert.equal(last?.type === 'error' && last.body.code, code, `${what} ${number}`)
        assert.equal((await leader.metric(MESSAGES)) - messages, 1, `${what} ${number}`)
        assert.equal((await leader.metric(CLAIMS)) - claims, number === FAR ? 1 : 0)
      }
    for (const [txid, code] of [
      [FAR, 'CLAIM_REFUSED'],
      [2 ** 48 + 1, 'CLAIM_REFUSED'],
      [2 ** 53 - 1, 'MESSAGE_BAD'],
      [-1, 'MESSAGE_BAD'],
    ] as const) {
      const client = await RawClient.open(leader)
      client.hello({ cluster, history: `0123456789abcdef@${txid}` })
      await within(`cut off after a history at ${txid}`, client.closed)
      const last = client.messages.at(-1)
      assert.equal(last?.type === 'error' && last.body.code, code)
    }
    assert.equal((await leader.status()).role, 'leader')
    assert.deepEqual(kept(leader), before)
    const listed = (await leader.status()).replicas.map(({ node, epoch, txid }) => [
      node,
      epoch,
      txid,
    ])
    assert.deepEqual(listed, [['node-y', 0, 0]])
  },
)

labTest('a replica adopts nothing of a leader whose numbers are out of reach', async (lab) => {
  const leader = await startLeader(lab)
  const proxy = await MessageProxy.start(leader.address)
  lab.atEnd(() => proxy.close())
  const replica = await lab.replica(lab.path('replica.db'), proxy.address, {
    flags: ['--reconnect-max', '50ms'],
  })
  await replica.ready()
  const writing = lab.sql(leader.db)
  await writing.rows("INSERT INTO log (who) VALUES ('before')")
  await requireSame(lab, leader, replica)
  const before = kept(replica)
  const fields: [Message['type'], string][] = [
    ['welcome', 'epoch'],
    ['welcome', 'term'],
    ['welcome', 'txid'],
    ['incarnation', 'epoch'],
    ['incarnation', 'afterEpoch'],
    ['incarnation', 'txid'],
    ['heartbeat', 'epoch'],
    ['heartbeat', 'txid'],
    ['batch', 'epoch'],
    ['batch', 'txid'],
  ]
  for (const [type, name] of fields)
    for (const number of [FAR, 2 ** 53 - 1, 1.5]) {
      const counted = await replica.metric(MESSAGES)
      let isDone = false
      proxy.change = (message, bytes) => {
        if (message.type !== type || isDone) return bytes
        isDone = true
        return altered(type, { ...message.body, [name]: number } as never, message.payload)
      }
      if (type === 'welcome' || type === 'incarnation') proxy.cut()
      if (type === 'batch') await writing.rows("INSERT INTO log (who) VALUES ('x')")
      await until(
        `${type}.${name} ${number} is counted`,
        async () => (await replica.metric(MESSAGES)) > counted,
      )
    }
  proxy.change = (_message, bytes) => bytes
  await requireSame(lab, leader, replica)
  assert.deepEqual(kept(replica), before)
  assert.equal(await replica.metric('walcast_syncs_total'), 1)
})

labTest('a new replica believes a cluster that has come far', async (lab) => {
  const first = await startLeader(lab)
  await first.stop()
  const path = `${first.db}-walcast/node.json`
  const record = JSON.parse(readFileSync(path, 'utf8'))
  writeFileSync(path, JSON.stringify({ ...record, epoch: 2 ** 40, txidCeiling: 2 ** 41 }))
  const leader = await lab.restart(first)
  const replica = await lab.replica(lab.path('replica.db'), leader)
  await replica.ready()
  await lab.exec(leader.db, "INSERT INTO log (who) VALUES ('far')")
  await requireSame(lab, leader, replica)
  assert.equal((await replica.status()).epoch, 2 ** 40 + 1)
  assert.ok((await replica.status()).txid > 2 ** 41)
})
