/**
 * Rows that a node has to give up are kept aside: nothing is overwritten before they are safe, and
 * they can be found again.
 */
import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { keptRowCrashes } from '../campaigns/keptRowCrashes.ts'
import { compared, keptPath, restore, startPair } from '../support/keptPair.ts'
import { labTest, nodeArguments, requireSame, waitLevel } from '../support/lab.ts'
import { promote, Refused, switchover } from '../support/leadership.ts'
import { until } from '../support/until.ts'
import { Writer } from '../support/workload.ts'

labTest('commits that a restored backup lacks are kept aside', async (lab) => {
  const { leader, replica, backup } = await startPair(lab)
  const { epoch, txid, checksum } = await replica.status()
  const reader = lab.sql(replica.db, { readOnly: true })
  await reader.rows('SELECT count(*) FROM log')
  await restore(leader, backup)
  const restored = await lab.restart(leader)
  await requireSame(lab, restored, replica)
  const kept = await compared(replica)
  assert.equal(kept.position, `${epoch}-${txid}`)
  assert.deepEqual(kept.rows, { removed: 1, changed: 1, added: 0 })
  const folder = keptPath(replica, kept)
  assert.equal(JSON.parse(readFileSync(`${folder}/about.json`, 'utf8')).checksum, checksum)
  const pages = readFileSync(`${folder}/pages.txt`, 'utf8').trim().split('\n').map(Number)
  assert.ok(pages.length > 0 && pages.length < 20, `${pages.length} pages`)
  assert.match(
    readFileSync(`${folder}/rows.jsonl`, 'utf8'),
    /"table":"log","kind":"removed".*"who":"lost"/,
  )
  assert.equal(await replica.metric('walcast_diverged_kept'), 1)
  assert.equal(replica.logged('kept aside before the resync').length, 1)
  const [[sum]] = await lab
    .sql(`${folder}/database.db`, { readOnly: true })
    .rows('SELECT sum(balance) FROM accounts')
  assert.equal(sum, 1001, 'of the rows that the leader has otherwise, and no others')
  // The statements that bring the lost rows back, run at the leader.
  const diff = lab.cli(['diff', `${folder}/database.db`, restored.db, '--sql'])
  assert.equal((await diff.ended).code, 1, diff.tail())
  await lab.exec(restored.db, ...statementsOf(diff.out.join('\n')))
  await requireSame(lab, restored, replica)
  const found = await lab
    .sql(replica.db, { readOnly: true })
    .rows("SELECT who FROM log WHERE who = 'lost'")
  assert.deepEqual(found, [['lost']])
  const status = lab.cli(['status', '--node', replica.url])
  await status.ended
  assert.match(
    status.out.join('\n'),
    /kept aside .*1 rows that the leader lacks, 1 that differ there/,
  )
})

labTest('rows written to a copy are kept aside', async (lab) => {
  const { leader, replica } = await startPair(lab)
  await replica.stop()
  await lab.exec(replica.db, "INSERT INTO log (who) VALUES ('stray')")
  const back = await lab.restart(replica)
  await requireSame(lab, leader, back)
  assert.deepEqual((await compared(back)).rows, { removed: 1, changed: 0, added: 0 })
})

labTest('a promotion does not wait for a stray writer, and keeps its rows aside', async (lab) => {
  const flags = ['--idle', '20ms', '--replica-wal', '16KiB', '--reconnect-max', '100ms']
  const { leader, replica } = await startPair(lab, [...flags, '--switchover-timeout', '500ms'])
  const writer = new Writer(lab, 'node', { path: leader.db, name: 'w', seed: 44, pauseMs: 3 })
  const strayer = lab.program('strayer', { path: replica.db, times: 1, hold: true })
  await strayer.line((line) => line.includes('holds'))
  await writer.stop()
  await leader.stop('SIGKILL')
  const isRefused = (code: string) => (error: unknown) =>
    error instanceof Refused && error.code === code
  await assert.rejects(promote(replica, { force: true }), isRefused('FENCE_FAILED'))
  strayer.write('commit')
  await until(
    'it is found',
    () => replica.logged('the copy was written by something else').length === 1,
  )
  await assert.rejects(promote(replica), isRefused('NOT_FIT'))
  const again = await lab.restart(leader)
  await requireSame(lab, again, replica)
  const kept = await compared(replica)
  assert.match(kept.reason, /^something else wrote to it/)
  const rows = readFileSync(`${keptPath(replica, kept)}/rows.jsonl`, 'utf8')
  assert.match(rows, /"table":"accounts","kind":"changed"/)
  // The leader is asked for it all the same.
  await switchover(again)
  assert.deepEqual((await replica.status()).diverged, [kept])
})

labTest('a kept bundle is removed once the leader has all of its rows', async (lab) => {
  const { leader, replica } = await startPair(lab)
  await leader.stop()
  await lab.exec(
    leader.db,
    "INSERT INTO mixed (grp, body) VALUES (1, 'new')",
    'PRAGMA wal_checkpoint(TRUNCATE)',
  )
  const again = await lab.restart(leader)
  await requireSame(lab, again, replica)
  await until(
    'it is removed',
    () => replica.logged('the leader lacks none of the rows kept aside').length === 1,
  )
  assert.deepEqual(readdirSync(`${replica.db}-walcast/diverged`), [])
  assert.equal((await replica.status()).diverged, undefined)
})

/** The size of all files in a folder and below. */
function folderBytes(path: string): number {
  if (!existsSync(path)) return 0
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(`${path}/${name}`, { throwIfNoEntry: false }))
    .reduce((sum, found) => sum + (found?.isFile() ? found.size : 0), 0)
}

labTest('keeping rows aside costs only what differs', async (lab) => {
  const { leader, replica, backup } = await startPair(lab, [], 11_000)
  await lab.exec(leader.db, 'UPDATE accounts SET balance = balance + 2')
  await waitLevel(leader, replica)
  await restore(leader, backup)
  const folder = `${replica.db}-walcast/diverged`
  let mostBytes = 0
  const looking = setInterval(() => {
    mostBytes = Math.max(mostBytes, folderBytes(folder))
  }, 1)
  lab.atEnd(() => clearInterval(looking))
  const restored = await lab.restart(leader)
  await requireSame(lab, restored, replica)
  const kept = await compared(replica)
  assert.deepEqual(kept.rows, { removed: 1, changed: 100, added: 0 })
  mostBytes = Math.max(mostBytes, folderBytes(folder))
  const { size } = statSync(backup)
  assert.ok(size > 20e6, `${size} bytes`)
  assert.ok(mostBytes > 4096 && mostBytes < size / 100, `${mostBytes} of ${size} bytes`)
})

labTest('rows of an emptied table come back, also with virtual tables around', async (lab) => {
  const { leader, replica, backup } = await startPair(lab)
  await lab.exec(
    leader.db,
    'CREATE TABLE words (word TEXT, lang TEXT, n INT, PRIMARY KEY (lang, word)) WITHOUT ROWID',
    "INSERT INTO words VALUES ('eins', 'de', 1), ('one', 'en', 1)",
    'CREATE VIRTUAL TABLE texts USING fts5 (body)',
    "INSERT INTO texts VALUES ('one two three')",
  )
  await waitLevel(leader, replica)
  await leader.stop()
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${leader.db}${suffix}`, { force: true })
  cpSync(backup, leader.db)
  await lab.exec(leader.db, 'DELETE FROM mixed')
  const restored = await lab.restart(leader)
  await requireSame(lab, restored, replica)
  const kept = await compared(replica)
  const rows = readFileSync(`${keptPath(replica, kept)}/rows.jsonl`, 'utf8')
  const listed = (table: string) =>
    rows.split('\n').filter((line) => line.startsWith(`{"table":"${table}"`))
  assert.equal(listed('mixed').length, 500)
  assert.equal(listed('words').length, 2)
  assert.ok(listed('texts_content').length === 1)
  const database = `${keptPath(replica, kept)}/database.db`
  const diff = lab.cli([
    'diff',
    database,
    restored.db,
    '--sql',
    '--table',
    'mixed',
    '--table',
    'words',
  ])
  assert.equal((await diff.ended).code, 1, diff.tail())
  await lab.exec(restored.db, ...statementsOf(diff.out.join('\n')))
  const back = await lab
    .sql(restored.db)
    .rows('SELECT count(*), (SELECT count(*) FROM words) FROM mixed')
  assert.deepEqual(back, [[500, 2]])
})

labTest('past the limit the oldest bundle goes, and replication goes on', async (lab) => {
  const { leader, replica, backup } = await startPair(lab)
  await replica.stop()
  const limited = { flags: ['--max-diverged', '1', '--reconnect-max', '100ms'] }
  await lab.exec(replica.db, "INSERT INTO log (who) VALUES ('first')")
  const back = await lab.restart(replica, limited)
  await requireSame(lab, leader, back)
  const first = await compared(back)
  assert.equal(first.kind, 'diverged')
  await restore(leader, backup)
  const restored = await lab.restart(leader)
  await requireSame(lab, restored, back)
  const second = await compared(back)
  assert.notEqual(second.name, first.name)
  assert.deepEqual(readdirSync(`${back.db}-walcast/diverged`), [second.name])
  const said = back.logged('with commits that the leader may lack')
  assert.equal(said.length, 1)
  assert.ok(said[0].includes(first.name) && said[0].includes('"level":"error"'), said[0])
  assert.equal(await back.metric('walcast_diverged_dropped_total', 'kind="diverged"'), 1)
})

labTest('on a full disk nothing is overwritten until there is room', async (lab) => {
  const { leader, replica, backup } = await startPair(lab)
  const { checksum } = await replica.status()
  await replica.stop()
  await restore(leader, backup)
  const restored = await lab.restart(leader)
  const full = lab.path('full')
  writeFileSync(full, '')
  const { db, options } = replica
  const args = nodeArguments('replica', {
    ...options,
    leader: restored.address,
    flags: ['--reconnect-max', '100ms'],
  })
  const child = lab.program('replicaAt', { args, op: 'kept.write', fullWhile: full })
  await child.errorLine((line) => line.includes('"msg":"running"'))
  const back = lab.nodeOf('replica', options, child)
  await until(
    'it says why',
    async () => (await back.status()).lastError?.code === 'WALCAST_DIVERGED_UNKEPT',
  )
  assert.equal((await back.status()).checksum, checksum)
  assert.deepEqual(readdirSync(`${db}-walcast/diverged`), [])
  rmSync(full)
  await requireSame(lab, restored, back)
  assert.deepEqual((await compared(back)).rows, { removed: 1, changed: 1, added: 0 })
})

/** While the rows are written, before they have their name, and in and after the resync. */
const SAMPLE = [
  ['kept.write', 2],
  ['kept.rename', 1],
  ['wal.append', 1],
  ['state.rename', 2],
] as const

labTest('a replica killed while it keeps rows aside loses none of them', (lab, t) =>
  keptRowCrashes(lab, t, SAMPLE),
)

/** The statements of a script, without BEGIN and COMMIT. */
function statementsOf(script: string): string[] {
  return script
    .split(/;\n|;$/)
    .map((statement) => statement.replace(/^--.*$/gm, '').trim())
    .filter((statement) => statement !== '')
}
