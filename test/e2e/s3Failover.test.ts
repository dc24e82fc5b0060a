/**
 * A cluster whose archive and dated snapshots are in an S3 store, through a failover: a copy that
 * follows the store has each state, and the replica that makes snapshots goes on as the leader.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { Deferred } from '../../src/roles/deferred.ts'
import { archived } from '../support/archiving.ts'
import type { Child } from '../support/child.ts'
import { campaignTest, type Lab, waitLevel } from '../support/lab.ts'
import { promote } from '../support/leadership.ts'
import { s3Server, TEST_ENVIRONMENT } from '../support/s3Server.ts'
import type { TestNode } from '../support/testNode.ts'
import { until, within } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

/** The last state that the command told. */
function levelAt(following: Child, checksum: string) {
  return until('the copy is level', (saw) => {
    const told = following.out.map((line) => Object(JSON.parse(line)))
    const step = told.findLast(({ event }) => event === 'step' || event === 'restored')
    saw(following.out.at(-1) ?? '')
    return step?.checksum === checksum
  })
}

function snapshotOf(node: TestNode) {
  return until('the snapshot is level', async (saw) => {
    const { epoch, txid, snapshots } = await node.status()
    saw(JSON.stringify(snapshots))
    const { last } = snapshots ?? {}
    return last?.position === `${epoch}-${txid}` ? last : undefined
  })
}

async function requireContent(lab: Lab, packed: Buffer, marks: readonly number[]): Promise<void> {
  const path = lab.path(`unpacked-${marks.length}.db`)
  writeFileSync(path, gunzipSync(packed))
  const session = lab.sql(path)
  assert.deepEqual(await session.rows('PRAGMA integrity_check'), [['ok']])
  assert.deepEqual((await session.rows('SELECT a FROM marks ORDER BY a')).flat(), marks)
  await session.close()
}

campaignTest(
  'a copy that follows a bucket, and snapshots in it, go on after a failover',
  async (lab, t) => {
    const server = await s3Server(t)
    const place = (name: string) => `s3://archives/${name}?endpoint=${server.endpoint}`
    const environment = TEST_ENVIRONMENT
    const db = lab.path('leader.db')
    await makeDatabase(lab, db)
    const flags = ['--backup', place('archive'), '--backup-every', '100ms']
    const dated = ['--snapshot-every', '1s', '--snapshot-to', place('dated')]
    const keep = ['--snapshot-keep', '2']
    const leader = await (await lab.leader(db, { flags, environment })).ready()
    const second = await (
      await lab.replica(lab.path('copy.db'), leader, {
        flags: [...flags, ...dated, ...keep],
        environment,
      })
    ).ready()
    await lab.exec(db, 'CREATE TABLE marks (a)', 'INSERT INTO marks VALUES (1)')
    await waitLevel(leader, second)
    const before = await archived(second)
    const to = lab.path('followed.db')
    const args = ['restore', '--from', place('archive'), '--to', to, '--follow', '--json']
    const following = lab.cli([...args, '--every', '100ms'], environment)
    await levelAt(following, before.checksum)
    const first = await snapshotOf(second)
    assert.match(first.name, /^copy\/copy-.*Z-1-\d+\.db\.gz$/)
    const bytesOf = (name: string) => server.objects.get(`dated/${name}`)?.body ?? Buffer.alloc(0)
    await requireContent(lab, bytesOf(first.name), [1])

    await leader.stop('SIGKILL')
    await promote(second)
    for (const mark of [2, 3]) {
      await lab.exec(second.db, `INSERT INTO marks VALUES (${mark})`)
      await snapshotOf(second)
    }
    const after = await archived(second)
    assert.notEqual(after.incarnation, before.incarnation)
    await levelAt(following, after.checksum)
    assert.equal(await lab.compare(second.db, to), '')
    const last = await snapshotOf(second)
    assert.match(last.name, /^copy\/copy-.*Z-2-\d+\.db\.gz$/)
    await requireContent(lab, bytesOf(last.name), [1, 2, 3])
    const kept = () => [...server.objects.keys()].filter((key) => key.startsWith('dated/copy/'))
    await until('older ones are gone', () => kept().length <= 2)
    assert.equal(
      following.out.some((line) => line.includes('"over"')),
      false,
    )

    // It ends at once while it waits for a store that is silent.
    const asked = new Deferred<void>()
    server.behaviour.fault = ({ query }) => {
      if (query.get('prefix') === 'archive/changes/0/') asked.resolve()
      return 'silence'
    }
    await within('it asks', asked.promise)
    assert.equal((await following.stop('SIGINT')).code, 0)
    assert.equal(JSON.parse(following.out.at(-1) ?? '').event, 'ended')
  },
)
