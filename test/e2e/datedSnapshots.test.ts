/** Dated snapshots of a node: whole, ordinary databases, whatever happens while they are made. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { freePort } from '../../src/cli/freePorts.ts'
import type { FileOp } from '../../src/platform/fileOps.ts'
import { type Lab, labTest, nodeArguments } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase, Writer } from '../support/workload.ts'

const KEPT = 2

const flagsOf = (lab: Lab) => [
  ...['--snapshot-every', '1s', '--snapshot-to', lab.path('snapshots')],
  ...['--snapshot-keep', String(KEPT)],
]

/** Those with the name of a snapshot. */
function snapshotsIn(lab: Lab): string[] {
  const folder = lab.path('snapshots/app')
  if (!existsSync(folder)) return []
  return readdirSync(folder).filter((name) => !name.startsWith('.'))
}

/** Waits until the newest snapshot has what the node has. */
function level(node: TestNode) {
  return until('the snapshot is level', async (saw) => {
    const { epoch, txid, snapshots } = await node.status()
    saw(JSON.stringify(snapshots))
    return snapshots?.last?.position === `${epoch}-${txid}` ? snapshots : undefined
  })
}

/** As a person would, with another SQLite. */
async function answerIn(lab: Lab, name: string, sql: string): Promise<unknown> {
  const path = lab.path(`${name}.unpacked`)
  writeFileSync(path, gunzipSync(readFileSync(lab.path(`snapshots/app/${name}`))))
  const session = lab.sql(path)
  const sound = await session.rows('PRAGMA integrity_check')
  assert.deepEqual(sound, [['ok']], name)
  const rows = await session.rows(sql)
  await session.close()
  return rows
}

labTest('snapshots are whole databases, pruned, none without a change, and missed', async (lab) => {
  const db = lab.path('app.db')
  await makeDatabase(lab, db)
  const node = await (await lab.leader(db, { flags: flagsOf(lab) })).ready()
  const seen = new Set<string>()
  for (let round = 0; round < 3; round++) {
    const writer = new Writer(lab, 'node', { path: db, name: `w${round}`, seed: round })
    await writer.advance(40)
    await writer.stop()
    await lab.exec(db, `PRAGMA user_version = ${round + 1}`)
    const { last } = await level(node)
    const name = last?.name ?? ''
    assert.match(name, /^app\/app-\d{4}-\d\d-\d\dT\d{6}Z-1-\d+\.db\.gz$/)
    const file = name.slice(4)
    assert.deepEqual(await answerIn(lab, file, 'PRAGMA user_version'), [[round + 1]])
    assert.equal(statSync(lab.path(`snapshots/${name}`)).mode & 0o777, 0o600)
    assert.equal(statSync(lab.path(`snapshots/${name}`)).size, last?.bytes)
    for (const each of snapshotsIn(lab)) seen.add(each)
  }
  await until('the others are gone', () => snapshotsIn(lab).length <= KEPT)
  const positions = [...seen].map((name) => /Z-(.*)\.db\.gz$/.exec(name)?.[1])
  assert.equal(new Set(positions).size, positions.length, 'none without a change')
  assert.ok((await node.metric('walcast_snapshots_total')) >= 3)
  const { last } = (await node.status()).snapshots ?? {}
  assert.equal(
    await node.metric('walcast_snapshot_timestamp_seconds'),
    Date.parse(last?.at ?? '') / 1000,
  )
  assert.equal(await node.metric('walcast_snapshot_bytes'), last?.bytes)
  assert.equal(await node.metric('walcast_snapshot_overdue'), 0)
  assert.deepEqual(readdirSync(`${db}-walcast/snapshots`), [])

  rmSync(lab.path('snapshots'), { recursive: true })
  writeFileSync(lab.path('snapshots'), 'no folder')
  await lab.exec(db, 'PRAGMA user_version = 9')
  await until('it is missed', async (saw) => {
    const { causes, snapshots } = await node.status()
    saw(JSON.stringify(snapshots))
    return causes.some(({ code }) => code === 'snapshot-overdue')
  })
  assert.equal(await node.metric('walcast_snapshot_overdue'), 1)
  assert.ok((await node.metric('walcast_snapshot_failures_total')) > 0)
  const { audit = [] } = await node.status()
  assert.equal(audit.findLast(({ action }) => action === 'snapshot')?.outcome, 'failed')
  rmSync(lab.path('snapshots'))
  await level(node)
  await until('nothing is missed', async () => (await node.status()).causes.length === 0)
})

const STEPS: readonly (readonly [FileOp, number])[] = [
  ['snapshot.write', 20],
  ['archive.write', 1],
  ['copy.publish', 1],
  ['archive.erase', 1],
]

labTest('a node killed at a step leaves no half snapshot', async (lab) => {
  const db = lab.path('app.db')
  await makeDatabase(lab, db)
  const port = await freePort()
  const args = nodeArguments('leader', { db, port, flags: flagsOf(lab) })
  for (const [i, [op, count]] of STEPS.entries()) {
    const dying = lab.program('replicaAt', { args, op, count })
    dying.expectEnd()
    const writer = new Writer(lab, 'node', { path: db, name: `w${i}`, seed: i, pauseMs: 20 })
    assert.equal((await dying.ended).signal, 'SIGKILL', `${op}: ${dying.tail()}`)
    await writer.stop()
    for (const name of snapshotsIn(lab)) await answerIn(lab, name, 'SELECT 1')
  }
  const node = await (await lab.leader(db, { port, flags: flagsOf(lab) })).ready()
  const { last } = await level(node)
  await answerIn(lab, last?.name.slice(4) ?? '', 'SELECT 1')
  await until('the others are gone', () => snapshotsIn(lab).length <= KEPT)
  await node.stop()
  assert.deepEqual(readdirSync(join(`${db}-walcast`, 'snapshots')), [])
})
