/** `walcast restore` and `walcast backups` as a person runs them, over archives in folders. */
import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { flipBit, writeArchive } from '../support/archiveFolders.ts'
import { checksumOf, ONE, type State, statesOf } from '../support/archives.ts'
import type { Child } from '../support/child.ts'
import { type Lab, labTest } from '../support/lab.ts'

const PAGE_SIZE = 4096

interface Site {
  readonly archive: string
  readonly names: readonly string[]
  readonly states: readonly State[]
}

/** Txids 100 to 105; the database is what the application left, in WAL mode. */
async function siteIn(lab: Lab): Promise<Site> {
  const states = statesOf(lab.path('source.db'), PAGE_SIZE).slice(0, 6)
  const archive = lab.path('archive')
  const names = await writeArchive(archive, states, PAGE_SIZE, [
    { kind: 'snapshot', incarnation: ONE, states: [0] },
    { kind: 'changes', incarnation: ONE, from: 0, states: [1, 2, 3] },
    { kind: 'changes', incarnation: ONE, from: 3, states: [4, 5] },
  ])
  return { archive, names, states }
}

async function ended(child: Child): Promise<number | null> {
  child.expectEnd()
  return (await child.ended).code
}

async function walcast(lab: Lab, ...args: readonly string[]) {
  const child = lab.cli(args, { TZ: 'Europe/Vienna' })
  return { code: await ended(child), out: child.out.join('\n'), err: child.err.join('\n') }
}

/** Nothing of the restore is left beside the database. */
function requireAlone(path: string, bytes: Buffer | undefined): void {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const beside = readdirSync(join(path, '..')).filter((each) => each.startsWith(name))
  assert.deepEqual(beside, bytes ? [name] : [])
  if (bytes) assert.ok(readFileSync(path).equals(bytes), path)
}

labTest('a database is restored, and replaced by another position', async (lab) => {
  const { archive, states } = await siteIn(lab)
  const to = lab.path('app.db')
  const from = ['restore', '--from', archive, '--to', to]
  const first = await walcast(lab, ...from)
  assert.equal(first.code, 0, first.err)
  assert.match(first.err, /^restoring 1-105 of 2026-01-01 02:45:00\.000 \+01:00, the last one that/)
  assert.match(first.out, /^restored \S+app\.db: 1-105 of 2026-01-01 02:45:00\.000 \+01:00\n/)
  assert.match(first.out, /12 written, 0 were there already\n.*as archived; integrity check: ok\n/)
  requireAlone(to, states[5].bytes)
  const db = new Database(to)
  assert.equal(db.pragma('journal_mode', { simple: true }), 'wal')
  db.exec('DELETE FROM a')
  const again = await walcast(lab, ...from)
  assert.equal(again.code, 1)
  assert.match(again.err, /^WALCAST_RESTORE_REFUSED: .* a file is there; .*--force/)
  const used = await walcast(lab, ...from, '--force')
  assert.match(used.err, new RegExp(`^WALCAST_RESTORE_IN_USE: .*process ${process.pid} \\(`))
  db.close()
  // A log of the old file that no longer fits must not reach the new one.
  writeFileSync(`${to}-wal`, readFileSync(to).subarray(0, 8192))
  writeFileSync(`${to}-journal`, '')
  const back = await walcast(lab, ...from, '--force', '--at', '2026-01-01 02:44:30', '--json')
  assert.equal(back.code, 0, back.err)
  const events = back.out.split('\n').map((line) => JSON.parse(line))
  assert.deepEqual(
    events.map(({ event }) => event).filter((event) => event !== 'progress'),
    ['plan', 'restored'],
  )
  const done = events[events.length - 1]
  assert.deepEqual(
    [done.txid, done.position, done.time],
    [104, '1-104', '2026-01-01T01:44:00.000Z'],
  )
  assert.equal(done.writtenPages + done.equalPages, done.pages)
  requireAlone(to, states[4].bytes)
  assert.equal(new Database(to).pragma('integrity_check', { simple: true }), 'ok')
})

labTest('an old copy is the base: what is equal is not written', async (lab) => {
  const { archive, states } = await siteIn(lab)
  const to = lab.path('app.db')
  writeFileSync(to, states[4].bytes, { mode: 0o640 })
  const { code, out, err } = await walcast(
    ...([
      lab,
      'restore',
      '--from',
      archive,
      '--to',
      to,
      '--force',
      '--txid',
      '103',
      '--json',
    ] as const),
  )
  assert.equal(code, 0, err)
  const { equalPages, pages } = JSON.parse(out.split('\n').at(-1) ?? '')
  const page = (bytes: Buffer, i: number) => bytes.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE)
  const equal = Array.from({ length: pages }, (_, i) => i).filter((i) =>
    page(states[3].bytes, i).equals(page(states[4].bytes, i)),
  )
  assert.equal(equalPages, equal.length)
  assert.ok(equal.length > 0)
  requireAlone(to, states[3].bytes)
})

labTest('wrong places are refused, and nothing is made', async (lab) => {
  const { archive } = await siteIn(lab)
  const path = (name: string) => lab.path(name)
  mkdirSync(path('folder'))
  mkdirSync(path('empty'))
  symlinkSync(path('nowhere'), path('link'))
  writeFileSync(path('text'), 'not a database')
  writeFileSync(path('left.db-wal'), 'x')
  mkdirSync(path('other'))
  writeFileSync(join(path('other'), 'app.db'), 'x')
  const newer = path('newer')
  const [snapshot] = await newerArchive(lab, newer)
  const before = readdirSync(lab.folder)
  for (const [from, to, pattern, ...more] of [
    [archive, path('folder'), /RESTORE_REFUSED: .*it is a folder; give --to .*folder\/app\.db/],
    [archive, path('no/app.db'), /RESTORE_REFUSED: .*there is no folder \S+no; make it/],
    [archive, path('link'), /RESTORE_REFUSED: .*a link to a file that does not exist/],
    [archive, archive, /RESTORE_REFUSED: .*it is a folder/],
    [archive, join(archive, 'snapshots/a.db'), /RESTORE_REFUSED: .*it is inside the archive/],
    [archive, path('text'), /RESTORE_REFUSED: .*no SQLite database; move it away/, '--force'],
    [archive, path('left.db'), /RESTORE_REFUSED: .*left\.db-wal is left there/],
    [path('empty'), path('x.db'), /NO_ARCHIVE: there is no archive in /],
    [path('other'), path('x.db'), /NO_ARCHIVE: /],
    [path('nothing'), path('x.db'), /NO_ARCHIVE: /],
    [newer, path('x.db'), new RegExp(`ARCHIVE_NEWER: .*${snapshot}.*format 2.*newer`)],
    [archive, path('x.db'), /no txid 9; the nearest: 1-100 of/, '--txid', '9'],
    [archive, path('x.db'), /USAGE: --at wants a time.*not "noon"/, '--at', 'noon'],
    [archive, path('x.db'), /USAGE: .*exclude each other/, '--at', '-6h', '--txid', '1'],
    [archive, path('x.db'), /USAGE: .*EPOCH-TXID/, '--position', '7'],
    [archive, path('x.db'), /USAGE: .*did you mean --force/, '--froce'],
  ] as const) {
    const { code, out, err } = await walcast(lab, 'restore', '--from', from, '--to', to, ...more)
    assert.deepEqual([code, out], [/^\/USAGE/.test(String(pattern)) ? 2 : 1, ''], err)
    assert.match(err, pattern)
  }
  assert.deepEqual(readdirSync(lab.folder), before)
  const { code, err } = await walcast(
    ...([lab, 'restore', '--from', archive, '--to', path('left.db'), '--force'] as const),
  )
  assert.equal(code, 0, err)
  assert.equal(existsSync(path('left.db-wal')), false)
})

/** An archive whose file has the next version of the format, and the right checksum for it. */
async function newerArchive(lab: Lab, folder: string): Promise<string[]> {
  const { xxh64 } = await import('../../src/xxh64.ts')
  const states = statesOf(lab.path('newer-source.db'), PAGE_SIZE).slice(0, 1)
  const names = await writeArchive(folder, states, PAGE_SIZE, [
    { kind: 'snapshot', incarnation: ONE, states: [0] },
  ])
  const bytes = readFileSync(join(folder, names[0]))
  bytes.writeUInt32LE(2, 8)
  const end = 16 + bytes.readUInt32LE(12)
  bytes.writeBigUInt64LE(xxh64(bytes.subarray(0, end), 0n), end)
  writeFileSync(join(folder, names[0]), bytes)
  return names
}

labTest('a running node keeps its file', async (lab) => {
  const { archive } = await siteIn(lab)
  const to = lab.path('led.db')
  await lab.exec(to, 'CREATE TABLE b (c)')
  await lab.leader(to)
  const { code, err } = await walcast(lab, 'restore', '--from', archive, '--to', to, '--force')
  assert.equal(code, 1)
  assert.match(err, /^WALCAST_RESTORE_IN_USE: .*process \d+ \(.*stop the node/)
})

labTest('of two restores to one place the second is refused', async (lab) => {
  const { archive, states } = await siteIn(lab)
  const to = lab.path('app.db')
  const holder = new Database(`${to}-restoring.lock`)
  holder.exec('BEGIN EXCLUSIVE')
  const args = ['restore', '--from', archive, '--to', to]
  const { code, err } = await walcast(lab, ...args)
  assert.equal(code, 1)
  assert.match(err, /^WALCAST_RESTORE_IN_USE: .*another restore to it is under way; /)
  holder.close()
  mkdirSync(`${to}-walcast`)
  const done = await walcast(lab, ...args)
  assert.equal(done.code, 0, done.err)
  assert.match(done.err, /app\.db-walcast is left as it was/)
  rmSync(`${to}-walcast`, { recursive: true })
  requireAlone(to, states[5].bytes)
})

labTest('a dry run says what would be done, and does nothing', async (lab) => {
  const { archive, names } = await siteIn(lab)
  const to = lab.path('app.db')
  const args = ['restore', '--from', archive, '--to', to, '--txid', '102', '--dry-run']
  const { code, out } = await walcast(lab, ...args)
  assert.equal(code, 0)
  assert.match(out, /^would restore 1-102 of .*\n\S+app\.db would be made\nwould read 2 files, /)
  assert.deepEqual(out.split('\n').slice(-2), [`  ${names[0]}`, `  ${names[1]}`])
  const json = JSON.parse((await walcast(lab, ...args, '--json')).out)
  assert.deepEqual([json.event, json.txid, json.replaces], ['plan', 102, false])
  requireAlone(to, undefined)
})

labTest('a database that was not sound is restored only as it was', async (lab) => {
  const states = statesOf(lab.path('source.db'), PAGE_SIZE).slice(0, 4)
  const last = states[states.length - 1]
  // The archive has these pages and their checksums; it is SQLite that objects to them.
  const bytes = Buffer.from(last.bytes)
  bytes.fill(0xff, bytes.length - 40)
  const archive = lab.path('archive')
  await writeArchive(
    archive,
    [{ ...last, bytes, checksum: checksumOf(bytes, PAGE_SIZE) }],
    PAGE_SIZE,
    [{ kind: 'snapshot', incarnation: ONE, states: [0] }],
  )
  const to = lab.path('app.db')
  const args = ['restore', '--from', archive, '--to', to]
  const refused = await walcast(lab, ...args)
  assert.equal(refused.code, 1)
  assert.match(refused.err, /WALCAST_RESTORE_UNSOUND: .*--no-integrity-check$/m)
  requireAlone(to, undefined)
  const taken = await walcast(lab, ...args, '--no-integrity-check')
  assert.equal(taken.code, 0, taken.err)
  assert.match(taken.out, /integrity check: not run/)
  requireAlone(to, bytes)
})

/** Named operations, which of them fails, and whether an old file is replaced. */
const STEPS: readonly (readonly [op: string, count: number, isOld: boolean])[] = [
  ['resume.write', 1, false],
  ['resume.rename', 2, true],
  ['resume.folder', 3, false],
  ['restore.write', 9, true],
  ['restore.sync', 3, false],
  ['restore.erase', 1, true],
  ['restore.copy', 1, true],
  ['copy.supersede', 1, true],
  ['copy.publish', 1, true],
]

/** Without what SQLite writes into a header when it leaves WAL mode: modes, counters, version. */
function contentOf(bytes: Buffer): Buffer {
  const content = Buffer.from(bytes)
  for (const [from, to] of [
    [18, 20],
    [24, 28],
    [92, 100],
  ])
    content.fill(0, from, to)
  return content
}

labTest('killed at any step, the same command ends well', async (lab) => {
  const { archive, states } = await siteIn(lab)
  const old = states[2].bytes
  for (const [op, count, isOld] of STEPS) {
    const to = lab.path(`${op}-${count}-${isOld}.db`)
    if (isOld) writeFileSync(to, old)
    const args = ['--from', archive, '--to', to, '--no-integrity-check', '--force']
    const options = { args, op, count, kill: true, pendingBytes: 4 * PAGE_SIZE }
    const killed = lab.program('restoreFailing', options)
    killed.expectEnd()
    assert.equal((await killed.ended).signal, 'SIGKILL', `${op}: ${killed.tail()}`)
    if (isOld) assert.ok(contentOf(readFileSync(to)).equals(contentOf(old)), `${op}: the old file`)
    else assert.equal(existsSync(to), false)
    const again = lab.program('restoreFailing', { ...options, op: 'none' })
    assert.equal(await ended(again), 0, again.tail())
    assert.deepEqual(JSON.parse(again.out.at(-1) ?? ''), { code: 0 }, again.tail())
    requireAlone(to, states[5].bytes)
  }
})

labTest('on a full disk the old file stays, and the same command goes on', async (lab) => {
  const { archive, states } = await siteIn(lab)
  const to = lab.path('app.db')
  writeFileSync(to, states[0].bytes)
  const args = ['--from', archive, '--to', to, '--force', '--json']
  const options = { args, op: 'restore.write', count: 9, kill: false, pendingBytes: 4 * PAGE_SIZE }
  const full = lab.program('restoreFailing', options)
  assert.equal(await ended(full), 0)
  assert.equal(JSON.parse(full.out.at(-1) ?? '').failed, 'WALCAST_DISK_FULL')
  assert.ok(readFileSync(to).equals(states[0].bytes))
  assert.ok(existsSync(`${to}-restoring.json`))
  const again = await walcast(lab, 'restore', ...args)
  assert.equal(again.code, 0, again.err)
  assert.ok(again.out.includes('{"event":"resumed"}'))
  requireAlone(to, states[5].bytes)
})

labTest('the list tells what can be restored, and what is damaged', async (lab) => {
  const { archive, names } = await siteIn(lab)
  const whole = await walcast(lab, 'backups', '--from', archive, '--verify', '--wide')
  assert.equal(whole.code, 0, whole.err)
  assert.match(whole.out, /^cluster cluster-a, database main: 3 files, .* in /)
  const times = ['2026-01-01 02:40:00.000 +01:00', '2026-01-01 02:45:00.000 +01:00']
  const cells = (line: string) => line.split(/ {2,}/)
  const row = [...times, '1-100', '1-105', 'every position']
  assert.deepEqual(
    whole.out
      .split('\n')
      .map(cells)
      .find(([from]) => from === times[0]),
    row,
  )
  assert.match(whole.out, /every checksum in 3 files is right$/)
  // It fits into a small terminal.
  const small = await walcast(lab, 'backups', '--from', archive)
  assert.match(
    small.out,
    /^2026-01-01 02:40:00 +2026-01-01 02:45:00 +1-100 +1-105 +every position$/m,
  )
  assert.ok(small.out.split('\n').every((line) => line.length <= 80 || line.includes(archive)))
  flipBit(archive, names[2], 0.5)
  const damaged = await walcast(lab, 'backups', '--from', archive, '--verify')
  assert.equal(damaged.code, 1)
  assert.match(damaged.out, new RegExp(`NOT SOUND: 1 of 3 files\n.*${names[2]} is not sound`))
  const noted = await walcast(lab, 'backups', '--from', archive)
  const told = `^NOTED AS BROKEN: 1 file\n  ${names[2]}: ARCHIVE_BROKEN, found by walcast backups`
  assert.match(noted.out, new RegExp(told, 'm'))
  flipBit(archive, names[2], 0.5)
  const again = await walcast(lab, 'backups', '--from', archive, '--verify')
  assert.equal(again.code, 0, again.err)
  assert.doesNotMatch(again.out, /NOTED/)
  assert.deepEqual(readdirSync(join(archive, 'broken')), [])
  flipBit(archive, names[2], 0.5)
  await walcast(lab, 'backups', '--from', archive, '--verify')
  rmSync(join(archive, names[1]))
  const { code, out } = await walcast(lab, 'backups', '--from', archive, '--json')
  assert.equal(code, 0)
  assert.deepEqual(
    JSON.parse(out).noted.map((each: { name: string; by: string }) => [each.name, each.by]),
    [[names[2], '']],
  )
  const { histories } = JSON.parse(out)
  assert.equal(histories[0].restorableUntil.txid, 100)
  assert.deepEqual(
    histories[0].gaps.map((gap: { after: { txid: number } }) => gap.after.txid),
    [100],
  )
  const gone = await walcast(lab, 'restore', '--from', archive, '--to', lab.path('app.db'))
  assert.match(gone.err, /^WALCAST_ARCHIVE_GAP: .*from txid 100 to 103 are missing.*--as-far-as/)
})
