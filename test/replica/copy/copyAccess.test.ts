/** Who may read a copy, by what the operator and the leader say. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { CopyAccess } from '../../../src/replica/copy/copyAccess.ts'

interface Said {
  readonly copyMode?: number
  readonly leaderMode?: number | undefined
}

function accessTo(path: string, { copyMode, leaderMode }: Said, lines: string[] = []): CopyAccess {
  const log = pino({ level: 'warn' }, { write: (line: string) => lines.push(line) })
  return new CopyAccess({ path, copyMode, leaderMode: () => leaderMode, log })
}

function fileOf(t: TestContext, mode: number, ...suffixes: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-access-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'copy.db')
  for (const suffix of ['', ...suffixes]) {
    writeFileSync(`${path}${suffix}`, '')
    chmodSync(`${path}${suffix}`, mode)
  }
  return path
}

const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8)

test('a first copy gets what is usable of the leader mode, and 0600 without one', () => {
  const first = (said: Said) => accessTo('/nowhere', said).firstMode.toString(8)
  assert.equal(first({}), '600')
  for (const [leaderMode, wanted] of [
    [0o640, '640'],
    [0o777, '666'],
    [0o4755, '644'],
    [0o400, '600'],
    [0, '600'],
    [0o111, '600'],
  ] as const)
    assert.equal(first({ leaderMode }), wanted)
  assert.equal(first({ leaderMode: 0o600, copyMode: 0o644 }), '644')
  assert.equal(first({ leaderMode: 0o644, copyMode: 0o600 }), '600')
})

test('the leader narrows the mode of an existing copy and never widens it', (t) => {
  for (const [before, leaderMode, after] of [
    [0o644, 0o600, '600'],
    [0o644, undefined, '600'],
    [0o664, 0o640, '640'],
    [0o600, 0o666, '600'],
    [0o640, 0o604, '600'],
    [0o755, 0o777, '644'],
  ] as const) {
    const path = fileOf(t, before)
    accessTo(path, { leaderMode }).apply()
    assert.equal(modeOf(path), after, `${before.toString(8)} under ${leaderMode?.toString(8)}`)
  }
})

test('the operator may widen and narrow, and all files of the copy get one mode', (t) => {
  const path = fileOf(t, 0o600, '-wal', '-shm')
  for (const copyMode of [0o640, 0o666, 0o600]) {
    chmodSync(`${path}-shm`, 0o644)
    accessTo(path, { copyMode, leaderMode: 0o600 }).apply()
    for (const suffix of ['', '-wal', '-shm'])
      assert.equal(modeOf(`${path}${suffix}`), copyMode.toString(8), suffix)
  }
})

test('a missing copy is no problem, and a mode that cannot be set is logged once', (t) => {
  const lines: string[] = []
  accessTo('/nowhere/copy.db', { copyMode: 0o640 }, lines).apply()
  assert.deepEqual(lines, [])
  const path = fileOf(t, 0o600)
  symlinkSync(`${path}-wal`, `${path}-wal`)
  const stubborn = accessTo(path, { copyMode: 0o640 }, lines)
  stubborn.apply()
  stubborn.apply()
  assert.equal(lines.length, 1)
  assert.match(lines[0], /"wanted":"0640".*cannot set the mode of the copy; make the user/)
})

test('a changed mode is logged once', (t) => {
  const path = fileOf(t, 0o666)
  const lines: string[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(line) })
  const access = new CopyAccess({ path, leaderMode: () => undefined, log })
  access.apply()
  access.apply()
  const said = lines.map((line) => JSON.parse(line))
  assert.deepEqual(
    said.map(({ from, to }) => [from, to]),
    [['0666', '0600']],
  )
})

test('a file behind a link at the place of a WAL keeps its mode', (t) => {
  const path = fileOf(t, 0o644)
  const foreign = `${path}.foreign`
  writeFileSync(foreign, 'of another program')
  chmodSync(foreign, 0o600)
  for (const suffix of ['-wal', '-shm']) {
    symlinkSync(foreign, `${path}${suffix}`)
    const lines: string[] = []
    accessTo(path, { copyMode: 0o666 }, lines).apply()
    assert.equal(modeOf(foreign), '600', suffix)
    assert.match(lines[0], /is a symbolic link to .*copy\.db\.foreign/)
    rmSync(`${path}${suffix}`)
  }
})
