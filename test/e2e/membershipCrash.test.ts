/**
 * A node that is killed, or whose disk is full, at each step of a change of members, secrets or
 * keys: the change was made or it was not, and the same command makes it.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import pino from 'pino'
import { withMember } from '../../src/cluster/trustChanges.ts'
import { TrustFile } from '../../src/cluster/trustFile.ts'
import { isRemovedKey, type TrustRecord } from '../../src/cluster/trustRecord.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { askLocally, type LocalAnswer, statusLocally } from '../support/controlSocket.ts'
import { type FailingNode, startFailing } from '../support/failingNode.ts'
import { campaignTest, type Lab, labTest, nodeArguments } from '../support/lab.ts'
import { joinArguments, joined, pair, run } from '../support/pairing.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const SECRET = { WALCAST_SECRET: 'a secret of sixteen characters and more' }
const OPTIONS = { environment: SECRET, flags: ['--tls', '--peer-look', '200ms'] }
const TRUST = ['trust.write', 'trust.rename', 'trust.folder']
const LEFT = ['left.write', 'left.rename', 'left.folder']
const GHOSTS = TRUST.length * 2
/**
 * A full disk stays full until it is mended. A single failure would not do: the node retries an
 * earlier write that was refused, and that retry could meet the failure in place of the change.
 */
const UNTIL_MENDED = 1_000_000

function recordOf({ db }: Pick<TestNode, 'db'>): TrustRecord {
  const record = TrustFile.peek(`${db}-walcast`)
  assert.ok(record, 'there is a whole record')
  return record
}

const ghost = (index: number) => `ghost-${index}`
const keyOfGhost = (index: number) => String(index).padStart(64, '0')

/** Members that are no more than entries: each can be removed once. Only while no node runs. */
async function addGhosts({ db }: TestNode): Promise<void> {
  const file = TrustFile.open(`${db}-walcast`, systemFileOps, pino({ level: 'silent' }))
  for (let index = 0; index < GHOSTS; index++) {
    const member = { fingerprint: keyOfGhost(index), node: ghost(index), address: '' }
    await file.change((record) => withMember(record, member, 1000))
  }
}

async function start(lab: Lab): Promise<{ readonly leader: FailingNode; readonly a: TestNode }> {
  await makeDatabase(lab, lab.path('leader.db'))
  const first = await lab.leader(lab.path('leader.db'), OPTIONS)
  const a = await lab.replica(lab.path('a.db'), first, OPTIONS)
  await until('both know both', () =>
    [first, a].every((node) => recordOf(node).members.length === 2),
  )
  await first.stop()
  await addGhosts(first)
  return { leader: await startFailing(lab, 'leader', first.options), a }
}

/** The change, with the disk full at this step: refused, and nothing of it stays. */
async function onFullDisk(
  { node, fail, mend }: FailingNode,
  op: string,
  change: (db: string) => Promise<LocalAnswer>,
): Promise<void> {
  await fail({ ops: [op], code: 'ENOSPC', times: UNTIL_MENDED })
  const { status, body } = await change(node.db)
  assert.deepEqual([status, body['code']], [507, 'WALCAST_DISK_FULL'], op)
  assert.ok((await mend()) >= 1, op)
}

/** The change, with the node killed at this step, and the node again. */
async function killed(
  lab: Lab,
  { node, fail }: FailingNode,
  op: string,
  change: (db: string) => Promise<LocalAnswer>,
): Promise<FailingNode> {
  await fail({ ops: [op], code: 'KILL', times: 1 })
  node.child.expectEnd()
  await assert.rejects(change(node.db))
  assert.equal((await node.child.ended).signal, 'SIGKILL', op)
  return startFailing(lab, node.role, node.options)
}

async function done(change: Promise<LocalAnswer>): Promise<void> {
  const { status, body } = await change
  assert.equal(status, 200, JSON.stringify(body))
}

const post = (path: string, body: object) => (db: string) =>
  askLocally(db, `/_walcast/${path}`, { method: 'POST', body })
const rotateSecret = post('secret/rotate', { overlapMs: 3_600_000, force: true })
const rotateKey = post('key/rotate', { force: true })
const leave = post('leave', {})
const remove = (index: number) => (db: string) =>
  askLocally(db, `/_walcast/members?node=${ghost(index)}`, { method: 'DELETE' })

campaignTest(
  'a new secret, a new key, a removal: cut short at each step, and asked again',
  async (lab) => {
    const { leader: first, a } = await start(lab)
    const set = lab.cli(['settings', 'set', 'password', '-', '--encrypt', '--db', first.node.db])
    set.write('a secret value')
    set.closeInput()
    assert.equal((await set.ended).code, 0)
    let leader = first
    let removed = 0
    for (const op of TRUST) {
      const { secrets, keks } = recordOf(leader.node)
      await onFullDisk(leader, op, rotateSecret)
      await onFullDisk(leader, op, rotateKey)
      await until('the file is as before', () => {
        const now = recordOf(leader.node)
        return now.secrets.length === secrets.length && now.keks.length === keks.length
      })
      // A removal is in force here although the disk did not take it, and is written later.
      await onFullDisk(leader, op, remove(removed))
      const key = keyOfGhost(removed)
      await until('it is written', () => isRemovedKey(recordOf(leader.node), key))
      await done(remove(removed++)(leader.node.db))
      for (const change of [rotateSecret, rotateKey, remove(removed)]) {
        leader = await killed(lab, leader, op, change)
        await done(change(leader.node.db))
      }
      assert.ok(isRemovedKey(recordOf(leader.node), keyOfGhost(removed++)))
    }
    await until('both have the same record', () => {
      const [here, there] = [leader.node, a].map((node) => JSON.stringify(recordOf(node)))
      return here === there
    })
    await lab.exec(leader.node.db, "INSERT INTO log (who) VALUES ('later')")
    const { txid } = await statusLocally(leader.node.db)
    await until('the replica follows', async () => (await statusLocally(a.db)).txid >= txid)
    const read = await run(lab, ['settings', 'get', 'password', '--db', a.db])
    assert.equal(read.out, 'a secret value', read.err)
  },
)

labTest(
  'a node that leaves, cut short at each step on both sides, leaves and joins',
  async (lab) => {
    const { leader: first, a } = await start(lab)
    const { node: id } = await statusLocally(a.db)
    await a.stop()
    let leader = first
    let leaving = await startFailing(lab, 'replica', a.options)
    // The member that removes its keys is cut short first: nobody knows, and nothing has changed.
    for (const op of TRUST.slice(0, 2)) {
      // It is asked twice, in case the connection ended before its answer.
      await leader.fail({ ops: [op], code: 'ENOSPC', times: UNTIL_MENDED })
      const full = await leave(leaving.node.db)
      assert.equal(full.body['code'], 'WALCAST_NOBODY_TOLD', op)
      assert.ok((await leader.mend()) >= 2, op)
      await leader.fail({ ops: [op], code: 'KILL', times: 1 })
      leader.node.child.expectEnd()
      const dead = await leave(leaving.node.db)
      assert.equal(dead.body['code'], 'WALCAST_NOBODY_TOLD', op)
      await leader.node.child.ended
      leader = await startFailing(lab, 'leader', leader.node.options)
    }
    for (const op of LEFT) {
      await onFullDisk(leaving, op, leave)
      if (op === 'left.folder') break
      leaving = await killed(lab, leaving, op, leave)
    }
    assert.ok(!recordOf(leader.node).members.some(({ node }) => node === id))
    // From the rename on it has left, and each start erases its keys until that is done.
    await leaving.fail({ ops: ['left.folder'], code: 'KILL', times: 1 })
    leaving.node.child.expectEnd()
    await assert.rejects(leave(a.db))
    await leaving.node.child.ended
    const keys = `${a.db}-walcast/keys`
    for (const [code, said] of [
      ['ENOSPC', 'WALCAST_DISK_FULL'],
      ['KILL', ''],
    ]) {
      const fault = { ops: ['left.erase'], code, times: 1 }
      const args = nodeArguments('replica', a.options)
      const child = lab.program('nodeFailing', { args, fault }, SECRET)
      child.expectEnd()
      await child.ended
      assert.match(child.err.join('\n'), new RegExp(said))
      assert.ok(existsSync(keys), code)
    }
    const finished = await run(lab, ['leave', '--db', a.db])
    assert.match(finished.out, /has left cluster[\s\S]*walcast join CODE/)
    assert.ok(!existsSync(keys))
    const again = await run(lab, nodeArguments('replica', a.options), SECRET)
    assert.deepEqual([again.code, /WALCAST_LEFT/.test(again.err)], [1, true], again.err)

    // With a code it is a member again, by the same id and with a new key, and keeps its copy.
    const args = await joinArguments(lab, await pair(lab, leader.node), 'a')
    const back = await joined(lab, args)
    assert.equal((await statusLocally(back.db)).node, id)
    assert.equal(back.logged('"mode":"resume"').length, 1)
    assert.ok(!existsSync(`${a.db}-walcast/left.json`))
    await until('the leader has it', () =>
      recordOf(leader.node).members.some(({ node }) => node === id),
    )
    const { node } = JSON.parse(readFileSync(`${a.db}-walcast/node.json`, 'utf8'))
    assert.equal(node, id)
  },
)
