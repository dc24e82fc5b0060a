/** `walcast restore --into` a running cluster: a leader, a replica that archives, and readers. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import Database from 'better-sqlite3'
import type { AuditEntry } from '../../src/api/audit.ts'
import { writeArchive } from '../support/archiveFolders.ts'
import { ONE, statesOf } from '../support/archives.ts'
import { archived } from '../support/archiving.ts'
import type { Child } from '../support/child.ts'
import { contentOf } from '../support/content.ts'
import { type Lab, labTest, waitLevel } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'

import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

interface Site {
  readonly place: string
  readonly leader: TestNode
  readonly replica: TestNode
}

async function siteIn(lab: Lab): Promise<Site> {
  const place = lab.path('archive')
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 400 })
  const flags = ['--backup', place, '--backup-every', '50ms']
  const leader = await (await lab.leader(db, { flags })).ready()
  const replica = await (await lab.replica(lab.path('replica.db'), leader, { flags })).ready()
  await waitLevel(leader, replica)
  await archived(replica)
  return { place, leader, replica }
}

async function walcast(lab: Lab, args: readonly string[]) {
  const child = lab.cli(args)
  const code = await ended(child)
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

async function ended(child: Child): Promise<number | null> {
  child.expectEnd()
  return (await child.ended).code
}

async function positionOf(node: TestNode): Promise<string> {
  const { epoch, txid } = await node.status()
  return `${epoch}-${txid}`
}

/** The last event that the command printed. */
async function restored(lab: Lab, args: readonly string[]) {
  const { code, out, err } = await walcast(lab, [...args, '--json'])
  assert.equal(code, 0, err)
  return JSON.parse(out.split('\n').at(-1) ?? '')
}

/** Nothing but the database and its logs is there. */
function requireTidy(db: string): void {
  const name = basename(db)
  const beside = readdirSync(dirname(db)).filter((each) => each.startsWith(`${name}-rest`))
  assert.deepEqual(beside, [])
}

labTest(
  'a past state becomes the next one of a cluster, and the one before comes back',
  async (lab) => {
    const { place, leader, replica } = await siteIn(lab)
    const wanted = await positionOf(leader)
    const then = await contentOf(lab, leader.db)
    await lab.exec(leader.db, 'DELETE FROM mixed WHERE id > 5', 'CREATE TABLE late (a)')
    const undone = await contentOf(lab, leader.db)
    const reader = new Database(leader.db, { readonly: true })
    const counted = reader.prepare('SELECT count(*) FROM mixed').pluck()
    reader.exec('BEGIN')
    assert.equal(counted.get(), 5)
    const { node } = await leader.status()
    const args = ['restore', '--from', place, '--into', node, '--db', leader.db]
    const follower = await walcast(lab, [...args.slice(0, -4), '--into', replica.address])
    assert.equal(follower.code, 1)
    assert.match(follower.err, new RegExp(`^WALCAST_INTO_REFUSED: .*is a replica.*--into ${node}`))
    const made = await restored(lab, [...args, '--position', wanted])
    // The transaction under way keeps its state, and the statement is prepared anew after it.
    assert.equal(counted.get(), 5)
    reader.exec('COMMIT')
    assert.equal(counted.get(), 400)
    reader.close()
    assert.deepEqual([made.event, made.position], ['committed', wanted])
    assert.equal(made.committedAs, await positionOf(leader))
    await waitLevel(leader, replica)
    for (const { db } of [leader, replica])
      assert.deepEqual((await contentOf(lab, db)).rows, then.rows)
    const back = await walcast(lab, made.back.split(' ').slice(1))
    assert.equal(back.code, 0, back.err)
    assert.match(back.out, /integrity check: ok\n.*\nthe state before is \d+-\d+, kept as before-/)
    await waitLevel(leader, replica)
    for (const { db } of [leader, replica])
      assert.deepEqual((await contentOf(lab, db)).rows, undone.rows)
    requireTidy(leader.db)
    await lab.exec(leader.db, 'INSERT INTO late VALUES (1)')
    await archived(replica)
    const last = ['undo', await positionOf(leader), '--from', place, '--apply', '--db', leader.db]
    assert.equal((await walcast(lab, last)).code, 0)
    const entries = JSON.parse((await leader.get('/_walcast/audit')).text).entries
    const notes = entries.slice(-3)
    assert.deepEqual(
      notes.map(({ action, outcome }: AuditEntry) => `${action} ${outcome}`),
      ['restore done', 'restore done', 'undo done'],
    )
    assert.match(notes[0].detail, new RegExp(`^${wanted} of .*, as ${made.committedAs}; the state`))
  },
)

/** A leader whose archive ends with its start, and a moment of its past. */
async function lateArchive(lab: Lab): Promise<{ place: string; leader: TestNode }> {
  const place = lab.path('archive')
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const first = ['--backup', place, '--backup-every', '50ms']
  const early = await (await lab.leader(db, { flags: first })).ready()
  await archived(early)
  await lab.exec(db, 'CREATE TABLE late (a)')
  await archived(early)
  await early.stop()
  const flags = ['--backup', place, '--backup-every', '1h']
  const leader = await (await lab.restart(early, { flags })).ready()
  await archived(leader)
  return { place, leader }
}

labTest('what cannot come back is not replaced: late archives, kills, refusals', async (lab) => {
  const { place, leader } = await lateArchive(lab)
  const { node } = await leader.status()
  const { db } = leader
  const args = ['restore', '--from', place, '--into', node, '--txid', '1']
  const dry = await walcast(lab, [...args, '--dry-run'])
  assert.match(dry.out, /^would restore 1-1 of .* into \S+, the leader, which is at 1-2\n/)
  // The command passes its checks, and waits for the lock while the archive falls behind.
  const session = lab.modernSql(db)
  await session.rows('BEGIN IMMEDIATE')
  await session.rows('INSERT INTO late VALUES (7)')
  const begun = lab.cli(args)
  await begun.errorLine((line) => line.startsWith('taking the write lock'))
  assert.doesNotMatch(begun.tail(), /writers wait now/)
  await session.rows('COMMIT')
  await begun.errorLine((line) => line.startsWith('writers wait now'))
  const eager = lab.modernSql(db, { timeoutMs: 0 })
  await until('the command has the lock', async () => {
    const { error } = await eager.attempt('BEGIN IMMEDIATE')
    if (error === undefined) await eager.rows('COMMIT')
    return error
  })
  const waiting = session.rows('INSERT INTO late VALUES (8)')
  begun.kill('SIGTSTP')
  await begun.errorLine((line) => line.startsWith('not stopped: writers would wait'))
  begun.expectEnd()
  begun.kill('SIGKILL')
  await begun.ended
  await waiting
  assert.deepEqual(await eager.rows('SELECT a FROM late'), [[7], [8]])
  const late = await walcast(lab, [...args, '--hold', '300ms'])
  assert.equal(late.code, 1)
  assert.match(
    late.err,
    /INTO_REFUSED: .*it is at 1-4, and the archive .* ends at 1-2.*--without-po/,
  )
  for (const [more, pattern] of [
    [['--into', 'node-x'], /WALCAST_USAGE: .*no node node-x was found/],
    [['--into', node, '--to', lab.path('x.db')], /WALCAST_USAGE: --from PLACE and either/],
    [['--to', lab.path('x.db'), '--hold', '1s'], /WALCAST_USAGE: --hold goes with --into/],
  ] as const) {
    const { err } = await walcast(lab, ['restore', '--from', place, ...more])
    assert.match(err, pattern)
  }
  assert.equal(await positionOf(leader), '1-4')
  const made = await restored(lab, [...args, '--without-point'])
  assert.deepEqual([made.before, made.point, made.committedAs], ['1-4', null, '1-5'])
  assert.match((await eager.attempt('SELECT a FROM late')).error ?? '', /no such table/)
  requireTidy(db)
  await refuseForeign(lab, node)
})

/** An archive of another cluster, and one with other pages. */
async function refuseForeign(lab: Lab, node: string): Promise<void> {
  for (const [pageSize, flags, pattern] of [
    [4096, [], /WALCAST_INTO_REFUSED: .*archive of cluster-a; .*--force and --without-point/],
    [512, ['--force', '--without-point'], /WALCAST_INTO_REFUSED: .*4096 bytes.*archive 512/],
  ] as const) {
    const place = lab.path(`foreign-${pageSize}`)
    const states = statesOf(lab.path(`foreign-${pageSize}.db`), pageSize).slice(0, 1)
    await writeArchive(place, states, pageSize, [
      { kind: 'snapshot', incarnation: ONE, states: [0] },
    ])
    const { code, err } = await walcast(lab, ['restore', '--from', place, '--into', node, ...flags])
    assert.equal(code, 1)
    assert.match(err, pattern)
  }
  const from = ['--from', lab.path('foreign-4096'), '--into', node]
  const taken = await walcast(lab, ['restore', ...from, '--force', '--without-point'])
  assert.equal(taken.code, 0, taken.err)
  // Its position of the same number is another state.
  assert.match(taken.out, /^the state before was 1-5 of .*, which this archive does not have;/m)
  assert.doesNotMatch(taken.out, /go back with/)
}
