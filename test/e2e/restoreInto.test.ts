/** `walcast restore --into` a running cluster: a leader, a replica that archives, and readers. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import Database from 'better-sqlite3'
import { archived } from '../support/archiving.ts'
import type { Child } from '../support/child.ts'
import { contentOf } from '../support/content.ts'
import { type Lab, labTest, waitLevel } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'

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
  },
)
