/**
 * Resync by difference: what it costs, how it resumes when cut, and readers and writers that go on
 * meanwhile.
 */
import assert from 'node:assert/strict'
import { campaignTest, labTest, requireSame, waitLevel } from '../support/lab.ts'
import { TcpProxy } from '../support/tcpProxy.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase, numbers, Reader, Writer } from '../support/workload.ts'

const MIB = 1024 * 1024

labTest('a resync sends what differs, not the database', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 10_000 })
  const leader = await lab.leader(db)
  const replica = await (await lab.replica(lab.path('replica.db'), leader)).ready()
  await waitLevel(leader, replica)
  await replica.stop()
  await leader.stop()
  await lab.exec(db, 'UPDATE mixed SET body = randomblob(2048) WHERE id % 1000 = 0')
  const again = await lab.restart(leader)
  await lab.restart(replica)
  await requireSame(lab, again, replica)
  const { pages, pageSize } = await again.status()
  const sent = await again.metric('walcast_send_bytes_total')
  assert.ok(pages * pageSize > 20 * MIB)
  assert.ok(sent < 0.01 * pages * pageSize, `${sent} bytes for 10 pages of ${pages}`)
})

labTest('a cut resync resumes where it stopped, also across a restart', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 10_000 })
  const flags = ['--history', '1MiB', '--max-buffered', '256KiB']
  const leader = await lab.leader(db, { flags })
  const proxy = await TcpProxy.start(leader.options.port)
  lab.atEnd(() => proxy.close())
  const replica = await (
    await lab.replica(lab.path('replica.db'), proxy.address, {
      flags: ['--reconnect-max', '100ms'],
    })
  ).ready()
  await waitLevel(leader, replica)
  await replica.stop()
  const { txid } = await leader.status()
  await lab.exec(db, 'UPDATE mixed SET body = randomblob(2048)')
  // Before, the replica would be sent the commit as a batch, of which a cut keeps nothing.
  await until('the leader has the commit', async () => (await leader.status()).txid > txid)
  const database = (await leader.status()).pages * 4096
  const sentBefore = await leader.metric('walcast_send_bytes_total')
  const takenOf = (node: TestNode) => node.metric('walcast_receive_bytes_total')
  // Slow enough to be cut half-way.
  proxy.bytesPerSecond = 16 * MIB
  let back = await lab.restart(replica)
  let taken = 0
  for (const cut of ['connection', 'SIGKILL', 'connection', 'SIGTERM'] as const) {
    const held = back.walBytes
    await until('pages have come', (saw) => {
      saw(String(back.walBytes))
      return back.walBytes > held + 4 * MIB
    })
    if (cut === 'connection') {
      proxy.cutAll()
      continue
    }
    taken += await takenOf(back)
    await back.stop(cut)
    back = await lab.restart(replica)
  }
  proxy.bytesPerSecond = 0
  await requireSame(lab, leader, back)
  taken += await takenOf(back)
  const sent = (await leader.metric('walcast_send_bytes_total')) - sentBefore
  assert.ok(sent > 0.8 * database, 'nearly every page differed')
  // Bytes on their way at a cut are lost and sent again; how many depends on network buffers.
  assert.ok(taken < 1.05 * database, `it took in ${taken} bytes of ${database}: it began anew`)
})

labTest('readers and the writer go on during a resync', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 5000 })
  const leader = await lab.leader(db, {
    flags: ['--history', '256KiB', '--max-buffered', '256KiB'],
  })
  const replica = await (await lab.replica(lab.path('replica.db'), leader)).ready()
  const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 91 })
  const reader = new Reader(lab, { path: replica.db })
  const writing = lab.modernSql(db)
  for (let i = 0; i < 3; i++) {
    replica.kill('SIGSTOP')
    await writing.rows(
      numbers(
        500,
        'UPDATE mixed SET body = randomblob(2000) WHERE id IN (SELECT abs(random()) % 5000 ' +
          'FROM numbers)',
      ),
    )
    await writer.advance(100)
    replica.kill('SIGCONT')
    await writer.advance(50)
  }
  await writer.stop()
  await requireSame(lab, leader, replica)
  assert.ok((await replica.metric('walcast_syncs_total')) >= 1, 'pages were compared')
  assert.ok((await reader.stop()).passes > 20)
})

campaignTest('a sparse database past 1 GiB resyncs on both sides of the lock page', async (lab) => {
  const db = lab.path('leader.db')
  const made = lab.python('sparse', { path: db })
  const { text } = await made.line((line) => line.startsWith('{'))
  await made.ended
  const { pages } = JSON.parse(text)
  const leader = await lab.leader(db)
  const replica = await (await lab.replica(lab.path('replica.db'), leader)).ready()
  await waitLevel(leader, replica)
  await replica.stop()
  await leader.stop()
  await lab.exec(db, numbers(10, 'INSERT INTO big (body) SELECT randomblob(60000) FROM numbers'))
  const again = await lab.restart(leader)
  await lab.restart(replica)
  await waitLevel(again, replica)
  assert.equal((await replica.status()).pages, pages)
  assert.ok((await again.metric('walcast_send_bytes_total')) < 2 * MIB)
  const sums = 'SELECT count(*), sum(length(body)), group_concat(hex(substr(body, -8))) FROM big'
  const [ours, theirs] = [lab.sql(replica.db, { readOnly: true }), lab.sql(db, { readOnly: true })]
  assert.deepEqual(await ours.rows(sums), await theirs.rows(sums))
  assert.deepEqual(await ours.rows('PRAGMA integrity_check'), [['ok']])
})
