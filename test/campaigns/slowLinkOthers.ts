/**
 * While a transaction far larger than history crosses a slow link: lag and staleness count it, and
 * nothing else waits for it.
 */
import assert from 'node:assert/strict'
import { type Lab, labTest, requireSame, waitLevel } from '../support/lab.ts'
import { promote } from '../support/leadership.ts'
import { SECRET, startNotes } from '../support/notesCluster.ts'
import { until } from '../support/until.ts'
import { numbers } from '../support/workload.ts'

const MIB = 1024 * 1024
/** The link takes a minute for it. Network buffers hold some seconds of that. */
const SENT_BYTES = 96 * MIB
const SLOW = 1.5 * MIB
const LEADER_FLAGS = ['--history', '4MiB', '--batch', '256KiB', '--max-buffered', '512KiB']

async function startSlow(lab: Lab, leaderFlags: readonly string[] = []) {
  const cluster = await startNotes(lab, {
    replicas: 1,
    leaderFlags: [...LEADER_FLAGS, ...leaderFlags],
  })
  const { leader, links } = cluster
  const [slow] = cluster.replicas
  const [link] = links
  const writing = lab.modernSql(leader.node.db)
  await writing.rows('CREATE TABLE big (id INTEGER PRIMARY KEY, body BLOB)')
  await requireSame(lab, leader.node, slow.node)
  const { txid } = await leader.node.status()
  link.bytesPerSecond = SLOW
  await writing.rows(
    numbers(SENT_BYTES / 4000, 'INSERT INTO big (body) SELECT randomblob(3900) FROM numbers'),
  )
  await until('the leader has begun with it', async () => (await slow.node.lag()).leaderTxid > txid)
  assert.equal((await leader.node.status()).txid, txid, 'capture waits')
  return { leader, slow, link, writing, txid }
}

/** The slow replica reaches the leader's state, by any way. */
async function settle(lab: Lab, { leader, slow, link }: Awaited<ReturnType<typeof startSlow>>) {
  link.bytesPerSecond = 0
  await waitLevel(leader.node, slow.node)
  await requireSame(lab, leader.node, slow.node)
}

labTest('lag, staleness and promotion count commits behind a huge transaction', async (lab) => {
  const { leader, slow, link, writing, txid } = await startSlow(lab)
  for (let i = 0; i < 20; i++)
    await writing.rows(`INSERT INTO notes (body) VALUES ('behind it ${i}')`)
  const missing = 21
  const lag = () => slow.node.lag()
  await until('all are told of', async () => (await lag()).leaderTxid === txid + missing)
  let before = (await lag()).lagMs
  for (let i = 0; i < 20; i++) {
    const now = await until('time passes', async () => {
      const { lagMs, txidLag } = await lag()
      assert.equal(txidLag, missing)
      assert.ok(lagMs >= before, `${lagMs} ms after ${before}`)
      return lagMs > before + 100 && lagMs
    })
    before = now
  }
  assert.equal((await slow.node.status()).txid, txid, 'the transaction is still on its way')
  const { headers } = await fetch(slow.url, { headers: { 'walcast-max-staleness': '1s' } })
  assert.equal(headers.get('x-app'), 'leader', 'what is older is not given as fresh')
  await leader.node.stop('SIGKILL')
  link.cutAll()
  const { lost } = await promote(slow.node, { dryRun: true })
  assert.equal(lost?.transactions, missing)
})

labTest("an application's TRUNCATE checkpoint does not wait for a slow link", async (lab) => {
  const world = await startSlow(lab)
  const { leader, slow, txid } = world
  const checkpointing = lab.modernSql(leader.node.db)
  const [[busy]] = await checkpointing.rows('PRAGMA wal_checkpoint(TRUNCATE)')
  assert.equal(busy, 0)
  assert.equal((await slow.node.status()).txid, txid, 'the slow replica would still be waited for')
  assert.ok((await leader.node.status()).txid > txid)
  await settle(lab, world)
})

labTest('the WAL stays bounded behind a slow link', async (lab) => {
  const world = await startSlow(lab, ['--max-wal', '4MiB'])
  const { leader, slow, writing, txid } = world
  const { walBytes: startBytes } = await leader.node.status()
  let grownBytes = 0
  await until('the leader reads on', async () => {
    await writing.rows(
      numbers(20, 'INSERT INTO notes (body) SELECT hex(randomblob(1900)) FROM numbers'),
    )
    const status = await leader.node.status()
    grownBytes = Math.max(grownBytes, status.walBytes - startBytes)
    return status.txid > txid
  })
  assert.ok(grownBytes < 16 * MIB, `${grownBytes} bytes`)
  assert.equal((await slow.node.status()).txid, txid, 'the slow replica would still be waited for')
  await settle(lab, world)
})

labTest('the first copy of another replica does not wait for a slow link', async (lab) => {
  const world = await startSlow(lab)
  const { leader, slow, txid } = world
  const other = await lab.replica(lab.path('other.db'), leader.node, {
    environment: { WALCAST_SECRET: SECRET },
  })
  await other.ready()
  assert.equal((await slow.node.status()).txid, txid, 'the slow replica would still be waited for')
  await requireSame(lab, leader.node, other)
  await settle(lab, world)
})
