/** Clients and readers of a replica while secrets and keys are replaced, and members removed. */
import assert from 'node:assert/strict'
import Database from 'better-sqlite3'
import pino from 'pino'
import { SETTLE_MS } from '../../src/cluster/secretsInForce.ts'
import { withNewSecret } from '../../src/cluster/trustChanges.ts'
import { TrustFile } from '../../src/cluster/trustFile.ts'
import type { TrustRecord } from '../../src/cluster/trustRecord.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { secretId } from '../../src/security/clusterSecrets.ts'
import { keyringBeside } from '../../src/security/keyring.ts'
import { settings } from '../../src/settings/settings.ts'
import { askLocally, statusLocally } from '../support/controlSocket.ts'
import { campaignTest, type Lab, labTest } from '../support/lab.ts'
import { post, SECRET, type Site, startNotes } from '../support/notesCluster.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'

const NEW_SECRET = 'the secret that replaces the one of the environment'
/** How long after the rotation is told it signs, and the old secret ends. */
const SIGNS_MS = 12_000
const ENDS_MS = 16_000
const WRITERS = 2
const PAUSE_MS = 20

function recordOf({ db }: TestNode): TrustRecord | undefined {
  return TrustFile.peek(`${db}-walcast`)
}

/** Writes one note after the other until told to stop. Gives how many, and what failed. */
async function write(url: string, name: string, sign: { stopped: boolean }) {
  const failed: string[] = []
  let count = 0
  for (; !sign.stopped; count++) {
    const made = await post(`${url}/notes`, `${name}-${count}`)
    const text = await made.text()
    if (made.status !== 201) failed.push(`${made.status} ${text}`)
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  return { count, failed }
}

/**
 * A member tells of a new secret that it made almost SETTLE_MS ago: so the time in which it settles
 * goes by while the test looks.
 */
async function rotateEarlier(lab: Lab, leader: TestNode): Promise<void> {
  const environment = { WALCAST_SECRET: SECRET }
  const flags = ['--tls']
  const teller = await lab.replica(lab.path('teller.db'), leader, { environment, flags })
  await until('all know the teller', () =>
    [leader, teller].every((node) => recordOf(node)?.members.length === 4),
  )
  await teller.stop()
  const madeMs = Date.now() - SETTLE_MS + SIGNS_MS
  const file = TrustFile.open(`${teller.db}-walcast`, systemFileOps, pino({ level: 'silent' }))
  const id = secretId(NEW_SECRET)
  const given = { id: secretId(SECRET), secret: SECRET }
  const fresh = { id, secret: NEW_SECRET, given, overlapMs: SETTLE_MS - SIGNS_MS + ENDS_MS }
  await file.change((record) => withNewSecret(record, fresh, madeMs))
  await lab.restart(teller)
}

async function removed({ node, url }: Site, leader: TestNode): Promise<void> {
  const { node: id } = await statusLocally(node.db)
  const gone = await askLocally(leader.db, `/_walcast/members?node=${id}`, { method: 'DELETE' })
  assert.equal(gone.status, 200, JSON.stringify(gone.body))
  const answer = await post(`${url}/notes`, 'from a removed node')
  const body = JSON.parse(await answer.text())
  // Clients learn that nothing was done, and the operator why.
  assert.equal(answer.status, 503, body.code)
  assert.match(body.message, /the leader/)
  await until('it is told why', () => node.logged('WALCAST_KEY_REMOVED').length > 0)
}

campaignTest('no write through a replica fails while the secret is replaced', async (lab) => {
  const cluster = await startNotes(lab, { leaderFlags: ['--tls'], replicaFlags: ['--tls'] })
  const { node: leader } = cluster.leader
  const sign = { stopped: false }
  const writing = cluster.replicas.flatMap(({ url }, at) =>
    Array.from({ length: WRITERS }, (_, i) => write(url, `client-${at}-${i}`, sign)),
  )
  await rotateEarlier(lab, leader)
  const nodes = [leader, ...cluster.replicas.map(({ node }) => node)]
  for (const text of ['another secret of the cluster signs now', 'and has ended'])
    for (const node of nodes) await until(text, () => node.logged(text).length > 0)
  const before = (await statusLocally(leader.db)).txid
  await until('writes go on', async () => (await statusLocally(leader.db)).txid > before + 20)
  sign.stopped = true
  for (const { count, failed } of await Promise.all(writing)) {
    assert.deepEqual(failed, [])
    assert.ok(count > 20)
  }
  await removed(cluster.replicas[0], leader)
})

labTest(
  'a reader of encrypted settings on a replica reads on while the key is replaced',
  async (lab) => {
    const environment = { WALCAST_SECRET: SECRET }
    const options = { environment, flags: ['--tls'] }
    const path = lab.path('leader.db')
    await lab.exec(path, 'PRAGMA journal_mode=wal', 'CREATE TABLE log (who TEXT)')
    const leader = await lab.leader(path, options)
    const replica = await lab.replica(lab.path('a.db'), leader, options)
    await until('both have a key', () =>
      [leader, replica].every((node) => {
        const record = recordOf(node)
        return record?.keks.length === 1 && record.members.length === 2
      }),
    )
    const set = lab.cli(['settings', 'set', 'password', '-', '--encrypt', '--db', leader.db])
    set.write('a secret value')
    set.closeInput()
    assert.equal((await set.ended).code, 0)
    const { txid } = await statusLocally(leader.db)
    await until('it is there', async () => (await statusLocally(replica.db)).txid >= txid)
    const db = new Database(replica.db, { readonly: true, timeout: 30_000 })
    lab.atEnd(() => void db.close())
    const store = settings(db, keyringBeside(replica.db))
    const sign = { stopped: false }
    let reads = 0
    const reading = (async () => {
      for (; !sign.stopped; reads++) {
        assert.equal(store.get('password'), 'a secret value')
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    })()
    for (const asked of [leader, replica, leader]) {
      const body = { force: false }
      const done = await askLocally(asked.db, '/_walcast/key/rotate', { method: 'POST', body })
      assert.deepEqual([done.status, done.body['wrapped']], [200, 1], JSON.stringify(done.body))
      const { txid: after } = await statusLocally(leader.db)
      const from = reads
      await until('it has the new wrapping', async () => {
        return (await statusLocally(replica.db)).txid >= after && reads > from + 20
      })
    }
    sign.stopped = true
    await reading
  },
)
