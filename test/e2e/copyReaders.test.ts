/**
 * Another user, who may read a replica's files but not write them or their folder, reads the copy
 * in every state of the replica, with SQLite of two versions.
 */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, statSync } from 'node:fs'
import { REOPENED, reopenedCopies, reopenedInRestarts } from '../campaigns/reopenedCopies.ts'
import { cluster, commit, NEWEST, STRANGER, twoFolders } from '../support/copyReaders.ts'
import { type Lab, labTest, requireSame, waitLevel } from '../support/lab.ts'
import type { SqlSession } from '../support/sqlSession.ts'
import { TcpProxy } from '../support/tcpProxy.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { numbers } from '../support/workload.ts'

/** No automatic checkpoint, so that a state stays until it has been checked. */
const STILL = ['--copy-mode', '0644', '--idle', '1h', '--scrub-rate', '0']
const MIB = 1024 * 1024

/**
 * The same, and waits until the replica has it: a status shows no commit that the leader has not
 * noticed.
 */
async function follow(session: SqlSession, replica: TestNode): Promise<number> {
  const { txid } = await replica.status()
  const id = await commit(session)
  await until('the replica has the commit', async () => (await replica.status()).txid > txid)
  return id
}

/**
 * Readers without write permission: one lasting connection of each SQLite, and new ones at each
 * look.
 */
class Strangers {
  readonly #lab: Lab
  readonly #path: string
  readonly #persistent: readonly SqlSession[]

  constructor(lab: Lab, path: string) {
    this.#lab = lab
    this.#path = path
    this.#persistent = this.#open()
  }

  /** How many of the lasting connections cannot read. */
  async fails(): Promise<number> {
    const answers = await Promise.all(this.#persistent.map((session) => session.attempt(NEWEST)))
    return answers.filter(({ error }) => error !== undefined).length
  }

  /** Each reader sees log row `id` as the newest. */
  async see(id: number, state: string): Promise<void> {
    const fresh = this.#open()
    for (const [i, session] of [...this.#persistent, ...fresh].entries()) {
      const { rows, error } = await session.attempt(NEWEST)
      assert.deepEqual(rows ?? error, [[id, id]], `${state}, reader ${i}`)
    }
    for (const session of fresh) await session.close()
  }

  async close(): Promise<void> {
    for (const session of this.#persistent) await session.close()
  }

  #open(): SqlSession[] {
    return [this.#lab.sql(this.#path, STRANGER), this.#lab.modernSql(this.#path, STRANGER)]
  }
}

labTest('another user can read the copy in every resting state of the replica', async (lab) => {
  const { leader, replica, source, copy } = await cluster(lab, STILL, {
    flags: ['--history', '1KiB'],
  })
  const writer = lab.sql(source)
  const strangers = new Strangers(lab, copy)
  await strangers.see(1, 'a first copy, no frame yet')

  for (let i = 1; i <= 3; i++) {
    const id = await follow(writer, replica)
    await strangers.see(id, `commit ${i} of the first generation`)
  }

  const emptying = await restarted(lab, leader, replica, ['--copy-mode', '0644', '--idle', '20ms'])
  let id = await follow(writer, emptying)
  await until('the WAL is emptied', () => statSync(`${copy}-wal`).size === 0)
  await strangers.see(id, 'an emptied WAL')

  const still = await restarted(lab, leader, emptying, STILL)
  await strangers.see(id, 'a restart')
  id = await follow(writer, still)
  await strangers.see(id, 'the first commit after a restart')

  await still.stop()
  for (let i = 0; i < 5; i++) id = await commit(writer)
  const compared = await (await lab.restart(still)).ready()
  await waitLevel(leader, compared)
  assert.equal(compared.logged('comparing pages with the leader').length, 1)
  await strangers.see(id, 'a resync')
  id = await follow(writer, compared)
  await strangers.see(id, 'the first commit after a resync')

  await compared.stop()
  await strangers.see(id, 'no node, with readers that were there when it stopped')
  await strangers.close()
  await writer.close()
})

labTest('another user can open the copy of a stopped or killed node', async (lab) => {
  const { leader, replica, source, copy } = await cluster(lab, STILL)
  const writer = lab.sql(source)
  const id = await follow(writer, replica)
  await replica.stop()
  assert.equal(statSync(`${copy}-wal`).size, 0)
  const strangers = new Strangers(lab, copy)
  await strangers.see(id, 'a stopped node')

  const again = await (await lab.restart(replica)).ready()
  const next = await follow(writer, again)
  await strangers.see(next, 'readers that came before the node')
  await again.stop('SIGKILL')
  await strangers.see(next, 'a killed node')
  const third = await (await lab.restart(replica)).ready()
  const last = await follow(writer, third)
  await strangers.see(last, 'a node after a killed one')
  await strangers.close()
  await writer.close()
  await requireSame(lab, leader, third)
})

labTest('another user can read the file of a demoted leader that never committed', async (lab) => {
  const { leader, replica, source, copy } = await cluster(lab, STILL, {
    flags: ['--scrub-rate', '0'],
  })
  chmodSync(source, 0o644)
  const answer = await leader.post('/_walcast/switchover')
  assert.equal(answer.status, 200, answer.text)
  await waitLevel(replica, leader)
  const strangers = new Strangers(lab, source)
  const writer = lab.sql(copy)
  const id = await follow(writer, leader)
  await strangers.see(id, 'the first commit of the new leader')
  await new Strangers(lab, copy).see(id, 'the copy that leads now')
  await strangers.close()
  await writer.close()
})

labTest('another user can read the copy after a kill during a resync', async (lab) => {
  const { source, copy } = await twoFolders(lab)
  await lab.exec(
    source,
    numbers(2000, 'INSERT INTO mixed (grp, body) SELECT n, randomblob(2048) FROM numbers'),
  )
  const leader = await lab.leader(source, {
    flags: ['--history', '1KiB', '--max-buffered', '256KiB'],
  })
  const proxy = await TcpProxy.start(leader.options.port)
  lab.atEnd(() => proxy.close())
  const flags = [...STILL, '--replica-wal', '1GiB']
  const replica = await (await lab.replica(copy, proxy.address, { flags })).ready()
  await waitLevel(leader, replica)
  await replica.stop()
  await lab.exec(source, 'UPDATE mixed SET body = randomblob(2048)')
  let passed = 0
  let cutAt = 4 * MIB
  proxy.tamper = (bytes, toReplica) => {
    if (toReplica) passed += bytes.length
    return passed > cutAt ? undefined : bytes
  }
  const cut = await lab.restart(replica)
  // The batch has arrived, so nothing may empty the WAL before it is visible.
  await until('pages have come', () => statSync(`${copy}-wal`).size > MIB)
  await until('the connection was cut', () => passed > cutAt)
  await cut.stop('SIGKILL')
  cutAt = Number.POSITIVE_INFINITY
  const again = await (await lab.restart(replica)).ready()
  await waitLevel(leader, again)
  const strangers = new Strangers(lab, copy)
  await until('a read mark', async () => (await strangers.fails()) === 0)
  await strangers.see(1, 'a resync that was cut')
  await strangers.close()
})

for (const [state, options] of Object.entries(REOPENED))
  labTest(`another user can reopen the copy without errors while it is ${state}`, (lab) =>
    reopenedCopies(lab, options, 2000),
  )

labTest('another user can reopen the copy without errors while its node restarts', (lab) =>
  reopenedInRestarts(lab, 1),
)

labTest(
  'an application in the reading group can read, and its writes fail at once',
  async (lab) => {
    const { source, copy } = await twoFolders(lab)
    // As in docs/application/replica.md.
    chownSync(lab.path('b'), 0, STRANGER.gid)
    chmodSync(lab.path('b'), 0o2750)
    chmodSync(source, 0o600)
    const leader = await lab.leader(source)
    const replica = await (
      await lab.replica(copy, leader, { flags: ['--copy-mode', '0640'] })
    ).ready()
    await waitLevel(leader, replica)
    for (const suffix of ['', '-wal', '-shm']) {
      const { mode, gid } = statSync(`${copy}${suffix}`)
      assert.deepEqual([(mode & 0o777).toString(8), gid], ['640', STRANGER.gid], suffix)
    }
    for (const session of [lab.sql(copy, STRANGER), lab.modernSql(copy, STRANGER)]) {
      assert.deepEqual(await session.rows(NEWEST), [[1, 1]])
      await session.rows('PRAGMA busy_timeout = 600000')
      const { error = '' } = await session.attempt("INSERT INTO log (who) VALUES ('stray')")
      assert.match(error, /SQLITE_READONLY/)
      await session.close()
    }
    const outsider = lab.sql(copy, { uid: STRANGER.uid, gid: STRANGER.gid - 1 })
    await outsider.child.ended
    assert.match(outsider.child.err.join('\n'), /unable to open database file/)
    assert.equal(await replica.metric('walcast_stray_writes_total'), 0)
  },
)

async function restarted(lab: Lab, leader: TestNode, replica: TestNode, flags: readonly string[]) {
  await replica.stop()
  const again = await (await lab.restart(replica, { flags })).ready()
  await waitLevel(leader, again)
  return again
}
