/** Clients read their own writes at once, at both replicas of a leader. */
import assert from 'node:assert/strict'
import { type Lab, requireSame } from '../support/lab.ts'
import { type NotesCluster, post } from '../support/notesCluster.ts'

const CLIENTS = 8

/** `pairs` writes, each followed by a read, on both replicas together; a multiple of eight. */
export async function ownWrites(lab: Lab, cluster: NotesCluster, pairs: number): Promise<void> {
  const before = await Promise.all(
    cluster.replicas.map(({ node }) => node.metric('walcast_forwarded_requests_total')),
  )
  const share = pairs / CLIENTS
  const runs = Array.from({ length: CLIENTS }, (_, i) =>
    writeAndRead(cluster.replicas[i % 2].url, `client${i}`, share),
  )
  assert.deepEqual((await Promise.all(runs)).flat(), [])
  const after = await Promise.all(
    cluster.replicas.map(({ node }) => node.metric('walcast_forwarded_requests_total')),
  )
  const forwarded = after.reduce((sum, each, i) => sum + each - before[i], 0)
  assert.equal(forwarded, pairs, 'the writes and none of the reads were forwarded')
  for (const { node } of cluster.replicas) {
    assert.equal(await node.metric('walcast_stale_reads_total'), 0)
    assert.equal(await node.metric('walcast_write_waits_failed_total'), 0)
    await requireSame(lab, cluster.leader.node, node)
  }
}

/** Returns the reads that missed their write. */
export async function writeAndRead(url: string, name: string, count: number): Promise<string[]> {
  const misses: string[] = []
  for (let i = 0; i < count; i++) {
    const body = `${name}-${i}`
    const made = await post(`${url}/notes`, body)
    assert.equal(made.status, 201, await made.text())
    await made.arrayBuffer().catch(() => {})
    const read = await fetch(`${url}/note?body=${body}`)
    if (read.status !== 200) misses.push(`${body}: ${read.status}`)
    await read.arrayBuffer()
  }
  return misses
}
