/**
 * A transaction far larger than history, over a slow link: it is streamed once, as fast as the link
 * allows.
 */
import assert from 'node:assert/strict'
import { labTest, requireSame } from '../support/lab.ts'
import { post, startNotes } from '../support/notesCluster.ts'
import { until } from '../support/until.ts'
import { numbers } from '../support/workload.ts'

const MIB = 1024 * 1024
/** Bytes of the transaction, and what the link passes a second. */
const CASES = [
  [24 * MIB, 1.5 * MIB],
  [96 * MIB, 12 * MIB],
] as const

for (const [sentBytes, bytesPerSecond] of CASES)
  labTest(`a huge transaction arrives at ${bytesPerSecond / MIB} MiB a second`, async (lab, t) => {
    const leaderFlags = ['--history', '4MiB', '--batch', '256KiB', '--max-buffered', '512KiB']
    const { leader, replicas, links } = await startNotes(lab, { replicas: 1, leaderFlags })
    const [replica] = replicas
    const [link] = links
    const writing = lab.modernSql(leader.node.db)
    await writing.rows('CREATE TABLE big (id INTEGER PRIMARY KEY, body BLOB)')
    await requireSame(lab, leader.node, replica.node)
    let toReplica = 0
    link.tamper = (bytes, isToReplica) => {
      if (isToReplica) toReplica += bytes.length
      return bytes
    }
    link.bytesPerSecond = bytesPerSecond
    const { txid } = await leader.node.status()
    const rssBefore = leader.node.rssBytes
    await writing.rows(
      numbers(sentBytes / 4000, 'INSERT INTO big (body) SELECT randomblob(3900) FROM numbers'),
    )
    const at = async () => (await replica.node.status()).txid

    // Writes meanwhile have a position, though no frame after the transaction was read yet.
    const here = await post(`${leader.url}/notes`, 'at the leader')
    const there = await post(`${replica.url}/notes`, 'at the replica')
    assert.equal(await at(), txid, 'the transaction is still on its way')
    assert.equal(here.headers.get('walcast-stale'), null)
    assert.match(here.headers.get('walcast-position') ?? '', new RegExp(`^\\d+-${txid + 2}$`))
    assert.match(there.headers.get('walcast-position') ?? '', new RegExp(`^\\d+-${txid + 3}$`))
    assert.match(there.headers.get('walcast-stale') ?? '', new RegExp(`^\\d+-${txid + 3}$`))

    let rss = 0
    await until(
      'the replica has all of it',
      async () => {
        rss = Math.max(rss, leader.node.rssBytes)
        return (await at()) >= txid + 3
      },
      90_000,
    )
    link.bytesPerSecond = 0
    await requireSame(lab, leader.node, replica.node)
    assert.equal(replica.node.logged('comparing pages').length, 1, 'only for the first copy')
    t.diagnostic(`${toReplica} bytes for ${sentBytes}; RSS of the leader ${rssBefore} to ${rss}`)
    assert.ok(
      toReplica > 0.95 * sentBytes && toReplica < 1.25 * sentBytes,
      `${toReplica} bytes were sent`,
    )
    assert.ok(rss < rssBefore + 72 * MIB, `RSS of the leader went from ${rssBefore} to ${rss}`)
  })
