/**
 * Symbolic links in the folder of a copy, put there by someone who may write to it: no file behind
 * one is opened or changed.
 */
import assert from 'node:assert/strict'
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Lab, labTest, nodeArguments, requireSame } from '../support/lab.ts'
import type { NodeOptions, TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const CONTENT = 'of another program\n'.repeat(10)

const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8)

/** A file that only its owner may read, with a link to it at `place`. */
function foreignBehind(lab: Lab, place: string): () => void {
  const path = lab.path(`foreign-${place.split('-').at(-1)}`)
  writeFileSync(path, CONTENT)
  chmodSync(path, 0o600)
  rmSync(place, { force: true })
  symlinkSync(path, place)
  return () => {
    assert.equal(readFileSync(path, 'utf8'), CONTENT, place)
    assert.equal(modeOf(path), '600', place)
    assert.ok(lstatSync(place).isSymbolicLink(), `${place} is left to the operator`)
  }
}

/** A start that fails, naming the file and the cure. */
async function requireRefused(lab: Lab, options: NodeOptions, place: string): Promise<void> {
  const child = lab.cli(nodeArguments('replica', options))
  await until('the node has ended', () => child.end !== undefined)
  assert.equal(child.end?.code, 1, child.tail())
  const line = child.err.find((text) => text.includes('WALCAST_STRANGE_FILE')) ?? child.tail()
  assert.ok(line.includes(`${place} is a symbolic link to`), line)
  assert.match(line, /move it away/)
}

labTest('symbolic links in place of the files of a copy are refused', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 200 })
  chmodSync(db, 0o644)
  const leader = await lab.leader(db)
  const copy = lab.path('copy.db')
  const first: NodeOptions = { db: copy, port: await freePort(), leader: leader.address }

  const incoming = foreignBehind(lab, `${copy}-incoming`)
  await requireRefused(lab, first, `${copy}-incoming`)
  incoming()
  assert.equal(lstatSync(copy, { throwIfNoEntry: false }), undefined)
  rmSync(`${copy}-incoming`)

  const flags = ['--idle', '1h', '--replica-wal', '1GiB']
  const replica = await (await lab.replica(copy, leader, { flags })).ready()
  await lab.exec(db, "INSERT INTO mixed (grp, body) VALUES (1, x'00')")
  await requireSame(lab, leader, replica)
  // A wal-index that names frames.
  replica.kill('SIGKILL')
  await replica.child.ended
  const names = lab.path('names-frames')
  copyFileSync(`${copy}-shm`, names)
  copyFileSync(`${copy}-wal`, lab.path('wal'))

  const log = foreignBehind(lab, `${copy}-wal`)
  await requireRefused(lab, replica.options, `${copy}-wal`)
  log()
  rmSync(`${copy}-shm`)
  await requireRefused(lab, replica.options, `${copy}-wal`)
  log()
  rmSync(`${copy}-wal`)
  copyFileSync(lab.path('wal'), `${copy}-wal`)
  const index = foreignBehind(lab, `${copy}-shm`)
  await requireRefused(lab, replica.options, `${copy}-shm`)
  index()
  rmSync(`${copy}-shm`)

  const again = await lab.restart(replica)
  await requireSame(lab, leader, await again.ready())
})

labTest('an existing node folder that is open to all is closed at the start', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 1 })
  mkdirSync(`${db}-walcast`)
  chmodSync(`${db}-walcast`, 0o777)
  const leader: TestNode = await lab.leader(db)
  assert.equal(modeOf(`${db}-walcast`), '700')
  assert.equal(leader.logged('other users could enter the node folder').length, 1)
})
