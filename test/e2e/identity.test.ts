/** A copy of files is no identity: leaders with a restored state, and cloned folders. */
import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import Database from 'better-sqlite3'
import { freePort } from '../../src/cli/freePorts.ts'
import { leaderRestarts } from '../campaigns/leaderRestarts.ts'
import { cameFirst, copyAll, putBack, requireTaken, SUFFIXES } from '../support/clones.ts'
import {
  campaignTest,
  type Lab,
  labTest,
  nodeArguments,
  requireSame,
  waitLevel,
} from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'

const LOST = 50
const OTHER = 60

/** `count` commits of one row each. */
function inserts(who: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `INSERT INTO t (who, n) VALUES ('${who}', ${i})`)
}

async function makeTable(lab: Lab, db: string): Promise<void> {
  await lab.exec(
    db,
    'PRAGMA journal_mode=WAL',
    'CREATE TABLE t (id INTEGER PRIMARY KEY, who TEXT, n INT)',
  )
  await lab.exec(db, 'CREATE TABLE other (n INT)')
}

async function positionOf(node: TestNode): Promise<string> {
  const { epoch, txid } = await node.status()
  return `${epoch}-${txid}`
}

async function waitStatus(node: TestNode, position: string): Promise<number> {
  return (await node.get(`/_walcast/wait?position=${position}&timeoutMs=2000`)).status
}

/**
 * The replica keeps what the leader lacks, both nodes do not know the lost position, and the leader
 * says why.
 */
async function requireKept(
  lab: Lab,
  leader: TestNode,
  replicas: readonly TestNode[],
  lost: string,
): Promise<void> {
  const [lostEpoch = 0, lostTxid = 0] = lost.split('-').map(Number)
  // Until then its positions are those of the lost history: nobody can tell them apart.
  await until('the leader begins anew', async () => (await leader.status()).epoch > lostEpoch)
  for (const replica of replicas) {
    await requireSame(lab, leader, replica)
    const kept = await until('the lost rows are kept', async () => {
      const { diverged = [] } = await replica.status()
      return diverged.find(({ state, position }) => state === 'compared' && position === lost)
    })
    assert.equal((kept.rows?.removed ?? 0) + (kept.rows?.changed ?? 0), LOST, JSON.stringify(kept))
    assert.equal(await waitStatus(replica, lost), 409, `${replica.child.name} waits for ${lost}`)
  }
  assert.equal(await waitStatus(leader, lost), 409, `the leader waits for ${lost}`)
  const { txid, putBack: mark } = await leader.status()
  assert.ok(txid > lostTxid, `txid ${txid}`)
  assert.match(mark?.reason ?? '', /put back/)
  assert.ok(leader.logged('put back').length > 0)
}

/** Makes the commits that will be lost, and returns their last position, once all nodes have it. */
async function lose(lab: Lab, leader: TestNode, replicas: readonly TestNode[]): Promise<string> {
  const { txid } = await leader.status()
  await lab.exec(leader.db, ...inserts('lost', LOST))
  await until('all of it is captured', async () => (await leader.status()).txid === txid + LOST)
  await Promise.all(replicas.map((replica) => waitLevel(leader, replica)))
  return positionOf(leader)
}

interface Copied {
  readonly leader: TestNode
  readonly replicas: readonly TestNode[]
  readonly backup: string
  /** The last position that the copy lacks. */
  readonly lost: string
}

/**
 * A leader that was copied while stopped, and its replicas, which it may or may not have known
 * then.
 */
async function startCopied(
  lab: Lab,
  follow: (leader: TestNode) => Promise<readonly TestNode[]>,
  areKnown: boolean,
): Promise<Copied> {
  const [db, backup] = [lab.path('a.db'), lab.path('backup.db')]
  await makeTable(lab, db)
  const first = await lab.leader(db)
  const known = areKnown ? await follow(first) : []
  await Promise.all(known.map((replica) => waitLevel(first, replica)))
  await first.stop()
  copyAll(db, backup, ['', '-walcast'])
  const leader = await lab.restart(first)
  const replicas = areKnown ? known : await follow(leader)
  return { leader, replicas, backup, lost: await lose(lab, leader, replicas) }
}

/** One replica that follows the leader directly. */
async function followAlone(lab: Lab, leader: TestNode): Promise<readonly TestNode[]> {
  return [await (await lab.replica(lab.path('b.db'), leader)).ready()]
}

labTest(
  'a restored leader begins an epoch above its replica, which keeps its rows',
  async (lab) => {
    const { leader, replicas, backup, lost } = await startCopied(
      lab,
      (to) => followAlone(lab, to),
      true,
    )
    await leader.stop()
    putBack(backup, leader.db)
    await lab.exec(leader.db, ...inserts('other', OTHER))
    const restored = await lab.restart(leader)
    await requireKept(lab, restored, replicas, lost)
    // Once detected, nothing is left to do.
    const { epoch } = await restored.status()
    await restored.stop()
    const again = await lab.restart(leader)
    await requireSame(lab, again, replicas[0])
    const { putBack: mark, ...status } = await again.status()
    assert.deepEqual([status.epoch, mark !== undefined], [epoch, true])
    // The next epoch did not begin because of it.
    assert.equal((await again.post('/_walcast/switchover')).status, 200)
    await requireSame(lab, replicas[0], again)
    for (const node of [again, replicas[0]]) assert.equal((await node.status()).putBack, undefined)
  },
)

/** How an operator restores the database alone. */
const WAYS: readonly (readonly [
  string,
  (lab: Lab, backup: string, db: string) => void | Promise<void>,
])[] = [
  ['cp over it', (_lab, backup, db) => writeFileSync(db, readFileSync(backup))],
  ['another file renamed over it', (_lab, backup, db) => renameSync(backup, db)],
  [
    'a hard link',
    (_lab, backup, db) => {
      rmSync(db)
      linkSync(backup, db)
    },
  ],
  [
    "a copy that SQLite's backup made",
    async (_lab, backup, db) => {
      const source = new Database(backup, { readonly: true })
      await source.backup(`${db}.new`)
      source.close()
    },
  ],
  [
    'a copy that VACUUM INTO made',
    (lab, backup, db) => lab.exec(backup, `VACUUM INTO '${db}.new'`),
  ],
]

for (const [at, [way, bringBack]] of WAYS.entries())
  (at === 0 ? labTest : campaignTest)(
    `a database restored by ${way} is detected, and rows it lacks are kept`,
    async (lab) => {
      const { leader, replicas, backup, lost } = await startCopied(
        lab,
        (to) => followAlone(lab, to),
        true,
      )
      await leader.stop()
      const { db } = leader
      for (const suffix of ['-wal', '-shm']) rmSync(`${db}${suffix}`, { force: true })
      await bringBack(lab, backup, db)
      if (existsSync(`${db}.new`)) renameSync(`${db}.new`, db)
      const restored = await lab.restart(leader)
      await requireSame(lab, restored, replicas[0])
      const kept = await until('the lost rows are kept', async () => {
        const { diverged = [] } = await replicas[0].status()
        return diverged.find(({ state, position }) => state === 'compared' && position === lost)
      })
      assert.equal(kept.rows?.removed, LOST)
      assert.ok((await restored.status()).epoch > 1)
      assert.match((await restored.status()).putBack?.reason ?? '', /put back/)
      for (const node of [restored, replicas[0]]) assert.equal(await waitStatus(node, lost), 409)
    },
  )

labTest('a restored node folder gives out no position twice', async (lab) => {
  const { leader, replicas, backup, lost } = await startCopied(
    lab,
    (to) => followAlone(lab, to),
    true,
  )
  await leader.stop()
  rmSync(`${leader.db}-walcast`, { recursive: true })
  cpSync(`${backup}-walcast`, `${leader.db}-walcast`, { recursive: true })
  const restored = await lab.restart(leader)
  await requireSame(lab, restored, replicas[0])
  await lab.exec(leader.db, ...inserts('other', OTHER))
  await requireSame(lab, restored, replicas[0])
  const [epoch, txid] = lost.split('-').map(Number)
  const status = await restored.status()
  assert.ok(status.epoch > epoch || status.txid >= txid + OTHER, `${status.epoch}-${status.txid}`)
  const rows = await lab.sql(replicas[0].db, { readOnly: true }).rows('SELECT count(*) FROM t')
  assert.deepEqual(rows, [[LOST + OTHER]])
})

campaignTest('a restored leader is detected after it reused txids', async (lab) => {
  const copied = await startCopied(lab, (leader) => followAlone(lab, leader), false)
  const { leader, replicas, backup, lost } = copied
  await replicas[0].stop()
  await leader.stop()
  putBack(backup, leader.db)
  const restored = await lab.restart(leader)
  await lab.exec(leader.db, ...inserts('other', OTHER))
  await until('it counts on', async () => (await restored.status()).txid > OTHER)
  assert.equal((await restored.status()).epoch, 1, 'nobody has told it yet')
  const back = await lab.restart(replicas[0])
  await requireKept(lab, restored, [back], lost)
})

campaignTest('a restored leader is detected after a copy of the running node', async (lab) => {
  const [db, backup] = [lab.path('a.db'), lab.path('backup.db')]
  await makeTable(lab, db)
  const leader = await lab.leader(db)
  const replicas = await followAlone(lab, leader)
  await lab.exec(db, ...inserts('common', 3))
  await waitLevel(leader, replicas[0])
  copyAll(db, backup, ['', '-wal', '-walcast'])
  const lost = await lose(lab, leader, replicas)
  await leader.stop('SIGKILL')
  for (const suffix of SUFFIXES) rmSync(`${db}${suffix}`, { recursive: true, force: true })
  copyAll(backup, db, ['', '-wal', '-walcast'])
  await lab.exec(db, ...inserts('other', OTHER))
  const restored = await lab.restart(leader)
  await requireKept(lab, restored, replicas, lost)
})

campaignTest('a restored leader is detected at a relay and its leaf', async (lab) => {
  const follow = async (leader: TestNode) => {
    const [relay] = await followAlone(lab, leader)
    return [relay, await (await lab.replica(lab.path('c.db'), relay)).ready()]
  }
  const { leader, replicas, backup, lost } = await startCopied(lab, follow, true)
  await leader.stop()
  putBack(backup, leader.db)
  await lab.exec(leader.db, ...inserts('other', OTHER))
  const restored = await lab.restart(leader)
  await requireKept(lab, restored, replicas, lost)
})

campaignTest('a restored leader hears through the relay what only a leaf has', async (lab) => {
  const follow = async (leader: TestNode) => [
    await (await lab.replica(lab.path('c.db'), leader)).ready(),
  ]
  const { leader, replicas, backup, lost } = await startCopied(lab, follow, false)
  await replicas[0].stop()
  await leader.stop()
  putBack(backup, leader.db)
  const restored = await lab.restart(leader)
  await lab.exec(leader.db, ...inserts('other', OTHER))
  const [relay] = await followAlone(lab, restored)
  await waitLevel(restored, relay)
  const back = await lab.restart(replicas[0], { leader: relay.address })
  await requireKept(lab, restored, [back], lost)
  await requireSame(lab, restored, relay)
})

labTest('a leader with a full disk starts and goes on', async (lab) => {
  const db = lab.path('a.db')
  await makeTable(lab, db)
  const leader = await lab.leader(db)
  const replica = await (await lab.replica(lab.path('b.db'), leader)).ready()
  await lab.exec(db, ...inserts('common', 5))
  await waitLevel(leader, replica)
  await leader.stop()
  const fault = { ops: ['role.write', 'role.rename'], code: 'ENOSPC', times: 1000 }
  const args = nodeArguments('leader', leader.options)
  const child = lab.program('nodeFailing', { args, fault })
  await child.errorLine((line) => line.includes('"msg":"running"'))
  const full = lab.nodeOf('leader', leader.options, child)
  assert.equal(full.logged('cannot write the node file for this start; retrying').length, 1)
  await requireSame(lab, full, replica)
  await full.stop()
  const again = await lab.restart(leader)
  await requireSame(lab, again, replica)
  assert.equal((await replica.status()).diverged, undefined)
})

labTest('a cloned folder is no second leader, and becomes a replica with a new id', async (lab) => {
  const [db, clone] = [lab.path('a.db'), lab.path('clone.db')]
  await makeTable(lab, db)
  const leader = await lab.leader(db)
  const met = await (await lab.replica(lab.path('met.db'), leader)).ready()
  await met.stop()
  await until('the leader has noted whom it met', () => existsSync(`${db}-walcast/peers.json`))
  await cameFirst(leader)
  await lab.exec(db, ...inserts('common', 5))
  copyAll(db, clone, ['', '-wal', '-walcast'])
  await lab.exec(clone, ...inserts('clone', 3))
  const second = lab.cli(
    nodeArguments('replica', { db: clone, port: await freePort(), leader: leader.address }),
  )
  await requireTaken({ child: second })
  assert.equal((await leader.get('/leader')).status, 200)
  const { node, epoch } = await leader.status()
  const made = lab.cli(['new-identity', '--db', clone])
  assert.equal((await made.ended).code, 0, made.tail())
  assert.match(made.out.join('\n'), new RegExp(`it was ${node}\\), a replica`))
  const replica = await (await lab.replica(clone, leader)).ready()
  await requireSame(lab, leader, replica)
  const status = await leader.status()
  assert.equal(status.epoch, epoch)
  const connected = status.replicas.filter((each) => each.connected)
  assert.equal(connected.length, 1)
  assert.notEqual(connected[0].node, node)
  const { replicas, causes } = await replica.status()
  assert.deepEqual(
    [replicas, causes],
    [[], []],
    'whom the original has met is not missed at the copy',
  )
  const kept = await until('what the clone alone had is kept', async () =>
    (await replica.status()).diverged?.find(({ state }) => state === 'compared'),
  )
  assert.equal((kept.rows?.removed ?? 0) + (kept.rows?.changed ?? 0), 3)
})

labTest('of two clones that know only each other the second one ends', async (lab) => {
  const [db, clone] = [lab.path('a.db'), lab.path('clone.db')]
  await makeTable(lab, db)
  const first = await lab.leader(db)
  await first.stop()
  copyAll(db, clone, ['', '-walcast'])
  const [portA, portB] = [first.options.port, await freePort()]
  const original = await lab.restart(first, { flags: ['--peers', `127.0.0.1:${portB}`] })
  await cameFirst(original)
  const peers = ['--peers', `127.0.0.1:${portA}`]
  const second = lab.cli(nodeArguments('leader', { db: clone, port: portB, flags: peers }))
  await requireTaken({ child: second })
  assert.equal((await original.get('/leader')).status, 200)
})

labTest('an original that returns beside its leading clone ends', async (lab) => {
  const [db, clone] = [lab.path('a.db'), lab.path('clone.db')]
  await makeTable(lab, db)
  const original = await lab.leader(db)
  await original.stop()
  copyAll(db, clone, ['', '-walcast'])
  const flags = ['--peer-look', '200ms']
  const leading = await lab.replica(clone, original, { flags })
  assert.equal((await leading.get('/leader')).status, 200)
  await cameFirst(leading)
  await requireTaken(await lab.restart(original))
  assert.equal((await leading.get('/leader')).status, 200)
})

labTest('rows from a clone are kept when a replica moves to the original', async (lab) => {
  const [db, clone] = [lab.path('a.db'), lab.path('clone.db')]
  await makeTable(lab, db)
  const original = await lab.leader(db)
  await lab.exec(db, ...inserts('common', 5))
  copyAll(db, clone, ['', '-wal', '-walcast'])
  await cameFirst(original)
  const leading = await lab.leader(clone)
  const replica = await (await lab.replica(lab.path('b.db'), leading)).ready()
  await lab.exec(clone, ...inserts('clone', 20))
  await lab.exec(db, ...inserts('original', 30))
  await waitLevel(leading, replica)
  await replica.stop()
  const moved = await lab.restart(replica, { leader: original.address })
  // A node that asks both tells the second one.
  await requireTaken(leading)
  await requireSame(lab, original, moved)
  const kept = await until('the rows of the clone are kept', async () =>
    (await moved.status()).diverged?.find(({ state }) => state === 'compared'),
  )
  assert.equal((kept.rows?.removed ?? 0) + (kept.rows?.changed ?? 0), 20)
})

campaignTest('the second of two replicas with one id does not serve or count', async (lab) => {
  const [db, copy, clone] = [lab.path('a.db'), lab.path('b.db'), lab.path('clone.db')]
  await makeTable(lab, db)
  const leader = await lab.leader(db)
  const first = await (await lab.replica(copy, leader)).ready()
  await waitLevel(leader, first)
  await first.stop()
  copyAll(copy, clone, ['', '-walcast'])
  const again = await (await lab.restart(first)).ready()
  const second = await lab.replica(clone, leader, { flags: ['--reconnect-max', '200ms'] })
  await until(
    'it is refused',
    async () => (await second.status()).lastError?.code === 'WALCAST_NODE_ID_TAKEN',
  )
  assert.equal((await second.get('/readyz')).status, 503)
  const { replicas } = await leader.status()
  assert.deepEqual(
    replicas.map(({ connected, address }) => [connected, address]),
    [[true, again.address]],
  )
  await requireTaken(second)
  assert.equal((await again.status()).state, 'streaming')
})

campaignTest('a silent replica does not block its id for its next process', async (lab) => {
  const [db, copy, clone] = [lab.path('a.db'), lab.path('b.db'), lab.path('clone.db')]
  await makeTable(lab, db)
  const leader = await lab.leader(db)
  const first = await (await lab.replica(copy, leader)).ready()
  await waitLevel(leader, first)
  copyAll(copy, clone, ['', '-wal', '-walcast'])
  first.kill('SIGSTOP')
  const next = await lab.replica(clone, leader, { flags: ['--reconnect-max', '200ms'] })
  await next.ready()
  await requireSame(lab, leader, next)
  // The original is back and has run longer, so the younger process ends.
  first.kill('SIGCONT')
  await requireTaken(next)
  await requireSame(lab, leader, first)
})

campaignTest('leader restarts under a writer keep almost nothing aside', (lab, t) =>
  leaderRestarts(lab, t, 4),
)
