/** `walcast restore --follow`: a file that an archive alone keeps current, as programs see it. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { writeArchive } from '../support/archiveFolders.ts'
import { ONE, statesOf } from '../support/archives.ts'
import { archived } from '../support/archiving.ts'
import type { Child } from '../support/child.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { PythonSqlite } from '../support/pythonSqlite.ts'
import { makeDatabase, Reader, Writer } from '../support/workload.ts'

const PAGE_SIZE = 4096

function argsOf(from: string, to: string): string[] {
  return ['restore', '--from', from, '--to', to, '--follow', '--every', '100ms', '--json']
}

function follow(lab: Lab, from: string, to: string, ...more: readonly string[]): Child {
  return lab.cli([...argsOf(from, to), ...more])
}

const says =
  (event: string, also: object = {}) =>
  (line: string) => {
    const told = Object(JSON.parse(line))
    return told.event === event && Object.entries(also).every(([key, value]) => told[key] === value)
  }

async function failed(child: Child, code = 1): Promise<string> {
  child.expectEnd()
  assert.equal((await child.ended).code, code)
  return child.err.join('\n')
}

labTest(
  'a file follows a node under writers, is killed at it, and readers see no more than commits',
  async (lab) => {
    const db = lab.path('leader.db')
    const [place, copy] = [lab.path('archive'), lab.path('copy.db')]
    await makeDatabase(lab, db)
    const flags = ['--backup', place, '--backup-every', '100ms']
    const leader = await (await lab.leader(db, { flags })).ready()
    await archived(leader)
    let following = follow(lab, place, copy)
    await following.line(says('following'))
    const reader = new Reader(lab, { path: copy, reopen: 0.1 })
    const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 3 })
    for (let round = 0; round < 3; round++) {
      const from = following.out.length
      await writer.advance(40)
      await following.line(says('step'), from)
      following.kill('SIGKILL')
      await following.ended
      reader.check()
      // The same archive, asked of the node.
      following = follow(lab, round === 1 ? db : place, copy)
      await following.line(says('following'))
    }
    await writer.stop()
    const { txid, checksum } = await archived(leader)
    await following.line((line) => says('level', { txid })(line))
    const last = following.out.filter(says('step')).at(-1)
    if (last) assert.equal(JSON.parse(last).checksum, checksum)
    await reader.stop()
    assert.deepEqual(await following.stop('SIGINT'), { code: 0, signal: null })
    await leader.stop()
    const python = new PythonSqlite()
    const [mine, theirs] = [await python.lookAt(copy), await python.lookAt(db)]
    await python.stop()
    assert.deepEqual(mine, theirs)
  },
)

labTest(
  'it is refused where it would overwrite, and a kill within a step is mended',
  async (lab) => {
    const states = statesOf(lab.path('source.db'), PAGE_SIZE)
    const [place, to] = [lab.path('archive'), lab.path('app.db')]
    await writeArchive(place, states, PAGE_SIZE, [
      { kind: 'snapshot', incarnation: ONE, states: [0] },
      { kind: 'changes', incarnation: ONE, from: 0, states: [1] },
    ])
    assert.match(
      await failed(follow(lab, place, to, '--txid', '100'), 2),
      /WALCAST_USAGE: .*--txid/,
    )
    assert.match(
      await failed(lab.cli([...argsOf(place, to).slice(0, 6), '--every', '99ms']), 2),
      /100ms/,
    )
    const args = argsOf(place, to).slice(1)
    const killedAt = (op: string) =>
      lab.program('restoreFailing', { args, op, count: 1, kill: true, pendingBytes: 1_000_000 })
    const first = killedAt('wal.append')
    await first.line(says('level'))
    assert.match(await failed(follow(lab, place, to)), /WALCAST_RESTORE_IN_USE: .*another restore/)
    first.expectEnd()
    await writeArchive(place, states, PAGE_SIZE, [
      { kind: 'changes', incarnation: ONE, from: 1, states: [2, 3, 4] },
    ])
    assert.equal((await first.ended).signal, 'SIGKILL')
    const python = new PythonSqlite()
    await python.open('reader', to)
    const count = () => python.rows('reader', 'SELECT count(*) FROM a')
    assert.deepEqual(await count(), [[61]])
    // The frames are there, and no reader was told of them: both states are right.
    const second = killedAt('index.publish')
    second.expectEnd()
    assert.equal((await second.ended).signal, 'SIGKILL')
    assert.ok([61, 20].includes(Number((await count())[0][0])))
    const third = follow(lab, place, to)
    await third.line(says('level', { txid: states[4].txid }))
    assert.deepEqual(await count(), [[20]])
    await python.stop()
    assert.equal((await third.stop()).code, 0)
    assert.ok(readFileSync(to).equals(states[4].bytes))
    const other = new Database(to)
    other.exec('DELETE FROM a')
    other.close()
    const changed = readFileSync(to)
    assert.match(await failed(follow(lab, place, to)), /WALCAST_FOLLOWED_CHANGED: .*--force/)
    assert.ok(readFileSync(to).equals(changed))
    const forced = follow(lab, place, to, '--force')
    await forced.line(says('over', { reason: 'forced' }))
    await forced.line(says('level', { txid: states[4].txid }))
    assert.equal((await forced.stop()).code, 0)
    assert.ok(readFileSync(to).equals(states[4].bytes))
  },
)
