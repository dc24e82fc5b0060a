/** Who writes the archive: a replica that has only a snapshot to add leaves it to others, once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ArchivistAnswer, GRANT_MS } from '../../src/api/archivist.ts'
import { Archivist, type BackupOn } from '../../src/backup/archivist.ts'
import { ArchivistGrant } from '../../src/backup/archivistGrant.ts'
import { until } from '../support/until.ts'

interface Cluster {
  nowMs: number
  readonly leader: Archivist
}

function clusterOf(on: BackupOn = 'replica', hasReplicas = true): Cluster {
  const cluster: { nowMs: number } = { nowMs: 1 }
  const leader = new Archivist({
    on,
    role: () => 'leader',
    hasReplicas: () => hasReplicas,
    ask: () => Promise.reject(new Error('it leads')),
    onArchived() {},
    nowMs: () => cluster.nowMs,
  })
  leader.isOn()
  return Object.assign(cluster, { leader })
}

/** A replica that has asked once. */
async function replicaOf(cluster: Cluster, id: string, desk: Pick<Archivist, 'claim' | 'decline'>) {
  const told: boolean[] = []
  const replica = new Archivist({
    on: 'replica',
    role: () => 'replica',
    hasReplicas: () => false,
    async ask(isDeclining): Promise<ArchivistAnswer> {
      const answer = isDeclining ? desk.decline(id) : desk.claim(id, undefined)
      told.push(isDeclining)
      return answer
    },
    onArchived() {},
    nowMs: () => cluster.nowMs,
  })
  replica.start()
  await until('it has asked', () => told.length > 0)
  return { replica, told }
}

test('the leader writes at once what a replica gives back, and that one asks again', async () => {
  const cluster = clusterOf()
  const { leader } = cluster
  const { replica, told } = await replicaOf(cluster, 'a', leader)
  assert.deepEqual([replica.isOn(), leader.isOn()], [true, false])
  assert.equal(replica.giveBack(), true)
  assert.equal(replica.isOn(), false)
  await until('the leader has heard of it', () => told.includes(true))
  assert.equal(leader.isOn(), true)
  replica.tell()
  await until('it was asked again within the time', () => told.length > 2)
  assert.deepEqual([replica.isOn(), leader.isOn(), told.at(-1)], [false, true, true])
  cluster.nowMs += GRANT_MS
  const asked = told.length
  replica.tell()
  await until('it has asked again', () => told.length > asked)
  assert.deepEqual([replica.isOn(), leader.isOn()], [true, false])
  replica.stop()
})

test('the archive is never left twice without a file between, so that all leave it', async () => {
  const cluster = clusterOf()
  const { replica, told } = await replicaOf(cluster, 'a', cluster.leader)
  assert.equal(replica.giveBack(), true)
  assert.equal(replica.giveBack(), false)
  cluster.nowMs += GRANT_MS
  assert.equal(replica.giveBack(), false, 'it takes the snapshot')
  await until('it has asked', () => told.length > 1)
  replica.tell()
  assert.equal(replica.giveBack(), true, 'it has written since')
  replica.stop()
})

test('an archive that nobody else would write is not left', async () => {
  const cluster = clusterOf()
  const grant = new ArchivistGrant({
    role: () => 'leader',
    mayArchive: false,
    onArchived() {},
    nowMs: () => cluster.nowMs,
  })
  const alone = await replicaOf(cluster, 'a', grant)
  assert.equal(alone.replica.giveBack(), false)
  assert.equal(alone.replica.isOn(), true)
  const other = await replicaOf(cluster, 'b', grant)
  assert.equal(other.replica.isOn(), false)
  alone.replica.tell()
  await until('it has heard of the other', () => alone.told.length > 1)
  assert.equal(alone.replica.giveBack(), true)
  await until('the leader has heard', () => alone.told.includes(true))
  const asked = other.told.length
  other.replica.tell()
  await until('the other one has asked', () => other.told.length > asked)
  assert.deepEqual([other.replica.isOn(), grant.holder], [true, 'b'])
  for (const { replica } of [alone, other]) replica.stop()
})

test('a leader waits for replicas that may ask, and no longer once one has declined', () => {
  const cluster = clusterOf()
  const { leader } = cluster
  assert.equal(leader.isOn(), false)
  leader.decline('a')
  assert.equal(leader.isOn(), true)
  leader.claim('b', undefined)
  assert.equal(leader.isOn(), false)
  leader.decline('a')
  assert.deepEqual([leader.isOn(), leader.holder], [false, 'b'])
})
