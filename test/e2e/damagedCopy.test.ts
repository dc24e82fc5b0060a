/** A copy damaged while its node was down is repaired from the leader, without a backup. */
import assert from 'node:assert/strict'
import { closeSync, openSync, statSync, truncateSync, writeSync } from 'node:fs'
import { type Lab, labTest, requireSame } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase, numbers } from '../support/workload.ts'

interface Pair {
  readonly leader: TestNode
  readonly replica: TestNode
}

async function newPair(lab: Lab, rows = 2000, flags: readonly string[] = []): Promise<Pair> {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows })
  const leader = await lab.leader(db)
  const replica = await (await lab.replica(lab.path('copy.db'), leader, { flags })).ready()
  await requireSame(lab, leader, replica)
  return { leader, replica }
}

/**
 * Stops the replica, damages its copy, and proves that the next start brings it to the leader's
 * state.
 */
async function requireMended(
  lab: Lab,
  pair: Pair,
  damage: (copy: string) => void,
): Promise<TestNode> {
  await pair.replica.stop()
  damage(pair.replica.db)
  const again = await lab.restart(pair.replica)
  await requireSame(lab, pair.leader, again)
  await again.ready()
  return again
}

const overwrite = (path: string, bytes: Buffer, at = 0) => {
  const fd = openSync(path, 'r+')
  writeSync(fd, bytes, 0, bytes.length, at)
  closeSync(fd)
}

labTest('a truncated copy is repaired', async (lab) => {
  const { leader, replica } = await newPair(lab)
  let again = replica
  for (const left of [100 * 4096, 100 * 4096 + 17, 4096, 1000, 50, 0]) {
    again = await requireMended(lab, { leader, replica: again }, (copy) => truncateSync(copy, left))
    if (left > 0)
      assert.equal(again.logged('the copy is damaged').length, 1, `${left} bytes were left`)
    const { diverged = [] } = await again.status()
    const last = diverged.at(-1)
    if (last && left > 0)
      assert.equal(last.isDamaged, true, `${left} bytes were left: ${JSON.stringify(last)}`)
  }
})

labTest('a copy with a garbage header is repaired', async (lab) => {
  const { leader, replica } = await newPair(lab)
  let again = replica
  for (const bytes of [
    Buffer.alloc(100, 0xa5),
    Buffer.alloc(16384, 'garbage '),
    Buffer.from('SQLite format 3\0\x07\x07', 'latin1'),
    Buffer.alloc(84, 0xff),
  ])
    again = await requireMended(lab, { leader, replica: again }, (copy) => overwrite(copy, bytes))
})

labTest('a copy with a truncated WAL is repaired, also beside an open reader', async (lab) => {
  // Nothing empties the WAL before the test truncates it.
  const { leader, replica } = await newPair(lab, 2000, ['--idle', '1h', '--replica-wal', '1GiB'])
  for (const isRead of [false, true]) {
    const node = await lab.restart(await stopped(replica))
    const reader = lab.sql(replica.db)
    await reader.rows('SELECT count(*) FROM mixed')
    await lab.exec(
      leader.db,
      numbers(100, 'INSERT INTO mixed (grp, body) SELECT n, randomblob(2000) FROM numbers'),
    )
    await requireSame(lab, leader, node)
    node.kill('SIGKILL')
    await node.child.ended
    if (!isRead) await reader.close()
    const wal = `${replica.db}-wal`
    const { size = 0 } = statSync(wal, { throwIfNoEntry: false }) ?? {}
    assert.ok(size > 40_000 || !isRead, 'there is something to cut')
    if (size > 0) truncateSync(wal, Math.floor(size / 2))
    const again = await lab.restart(node)
    await requireSame(lab, leader, again)
    await again.ready()
    if (isRead) {
      await until('the reader is right again', async () => {
        const { rows } = await reader.attempt('SELECT count(*) FROM mixed')
        return rows?.[0]?.[0] === 2200
      })
      await reader.close()
    }
    await again.stop()
  }

  async function stopped(node: TestNode): Promise<TestNode> {
    if (!node.child.end) await node.stop()
    return node
  }
})
