/** An old copy is the base of a restore; a killed one goes on where it was. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ArchiveFile } from '../../src/backup/archiveFile.ts'
import { type OpenNext, type RestoreSteps, restore } from '../../src/backup/restore.ts'
import { keyOf, WalcastError } from '../../src/errors.ts'
import { createFileOps, systemFileOps } from '../../src/platform/fileOps.ts'
import { archiveOf, ONE, type State, statesOf, TWO } from '../support/archives.ts'

const PAGE_SIZE = 512
const root = mkdtempSync(join(tmpdir(), 'walcast-restored-'))
after(() => rmSync(root, { recursive: true, force: true }))
let states: State[] = []
let files: Buffer[] = []
before(async () => {
  states = statesOf(join(root, 'source.db'), PAGE_SIZE)
  files = await archiveOf(states, PAGE_SIZE)
})
let made = 0
const newPath = () => join(root, `made-${++made}.db`)
const LAST = { incarnation: TWO, txid: 107 }

/** Counts the bytes that are read; `failAt`: after so many the network is lost. */
function opening(failAt = Infinity) {
  let read = 0
  const opens = files.map(
    (bytes, i): OpenNext =>
      async () =>
        ArchiveFile.open({
          name: `file ${i}`,
          bytes: bytes.length,
          read: async (at, length) => {
            read += length
            if (read > failAt) throw new Error('the network is lost')
            return Buffer.from(bytes.subarray(at, at + length))
          },
        }),
  )
  return { opens, read: () => read }
}

const resumable: RestoreSteps = { plan: 'a', pendingBytes: 32 * PAGE_SIZE }

test('only pages that differ from an old copy are written', async () => {
  const old = states[3]
  const target = { incarnation: ONE, txid: 104 }
  for (const base of [states[4].bytes, old.bytes, Buffer.alloc(0), Buffer.alloc(40_000, 7)]) {
    const path = newPath()
    writeFileSync(`${path}.old`, base)
    const { opens } = opening()
    const restored = await restore(path, opens.slice(0, 2), target, systemFileOps, {
      base: `${path}.old`,
    })
    const wanted = states[4].bytes
    assert.ok(readFileSync(path).equals(wanted))
    const pages = wanted.length / PAGE_SIZE
    const differing = Array.from({ length: pages }, (_, i) => i).filter((i) => {
      const page = (bytes: Buffer) => bytes.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE)
      return !page(wanted).equals(page(base))
    })
    assert.deepEqual([restored.writtenPages, restored.pages], [differing.length, pages])
  }
})

test('a restore that lost its network goes on, wherever that was', async () => {
  const whole = opening()
  await restore(newPath(), whole.opens, LAST, systemFileOps)
  let resumed = 0
  for (const part of [1, 4, 7, 11]) {
    const path = newPath()
    const cut = opening((whole.read() * part) / 12)
    await assert.rejects(restore(path, cut.opens, LAST, systemFileOps, resumable), /network/)
    const again = opening()
    const { checksum } = await restore(path, again.opens, LAST, systemFileOps, resumable)
    assert.equal(checksum, states[7].checksum)
    assert.ok(readFileSync(path).equals(states[7].bytes))
    if (again.read() < whole.read()) resumed++
    for (const left of ['-restoring', '-restoring.json'])
      assert.equal(existsSync(`${path}${left}`), false)
  }
  assert.ok(resumed >= 3, `${resumed} of 4 went on`)
})

test('a restore that failed while it wrote goes on, wherever that was', async () => {
  const whole = opening()
  await restore(newPath(), whole.opens, LAST, systemFileOps)
  let resumed = 0
  let failures = 0
  for (const count of [2, 5, 12, 19]) {
    const path = newPath()
    let seen = 0
    const failing = createFileOps((op) => {
      if (op === 'restore.write' && ++seen >= count)
        throw Object.assign(new Error('no room'), { code: 'ENOSPC' })
    })
    const failed = restore(path, opening().opens, LAST, failing, resumable)
    if (!(await failed.then(() => false).catch(() => true))) break
    failures++
    // Of what was being written anything may be there.
    const { pending } = JSON.parse(readFileSync(`${path}-restoring.json`, 'utf8'))
    const side = readFileSync(`${path}-restoring`)
    for (const [page] of pending)
      if (page * PAGE_SIZE <= side.length) side.fill(7, (page - 1) * PAGE_SIZE, page * PAGE_SIZE)
    writeFileSync(`${path}-restoring`, side)
    const again = opening()
    let isResumed = false
    await restore(path, again.opens, LAST, systemFileOps, {
      ...resumable,
      onResume: () => {
        isResumed = true
      },
    })
    assert.ok(readFileSync(path).equals(states[7].bytes))
    if (isResumed && again.read() < whole.read()) resumed++
  }
  assert.ok(failures >= 3 && resumed >= failures - 1, `${resumed} of ${failures} went on`)
})

async function cutOff(path: string): Promise<void> {
  const whole = files.reduce((sum, { length }) => sum + length, 0)
  const cut = opening(whole * 0.8)
  await assert.rejects(restore(path, cut.opens, LAST, systemFileOps, resumable), /network/)
  assert.ok(existsSync(`${path}-restoring.json`))
}

test('it begins anew when the plan is another one, or the file is not what it was', async () => {
  const spoils: readonly ((path: string) => RestoreSteps)[] = [
    () => ({ ...resumable, plan: 'b' }),
    (path) => {
      const bytes = readFileSync(`${path}-restoring`)
      bytes[bytes.length >> 1] ^= 1
      writeFileSync(`${path}-restoring`, bytes)
      return resumable
    },
    (path) => {
      rmSync(`${path}-restoring`)
      return resumable
    },
    (path) => {
      writeFileSync(`${path}-restoring.json`, '{"format":1,"plan":"a"}')
      return resumable
    },
    (path) => {
      writeFileSync(`${path}-restoring.json`, 'half a')
      return resumable
    },
    (path) => {
      const journal = JSON.parse(readFileSync(`${path}-restoring.json`, 'utf8'))
      writeFileSync(`${path}-restoring.json`, JSON.stringify({ ...journal, known: [[1, 4e9]] }))
      return resumable
    },
  ]
  for (const spoil of spoils) {
    const path = newPath()
    await cutOff(path)
    const steps = spoil(path)
    const { opens } = opening()
    await restore(path, opens, LAST, systemFileOps, steps)
    assert.ok(readFileSync(path).equals(states[7].bytes))
    assert.equal(existsSync(`${path}-restoring.json`), false)
  }
})

test('a journal that lies about how far it came gives no wrong file', async () => {
  const path = newPath()
  await cutOff(path)
  const journal = JSON.parse(readFileSync(`${path}-restoring.json`, 'utf8'))
  const { progress } = journal
  for (const lie of [
    { ...progress, images: progress.images + 1 },
    { ...progress, file: 0, point: 0, images: 0, at: undefined },
    { ...progress, point: progress.point + 1, images: 0 },
  ]) {
    const to = newPath()
    writeFileSync(`${to}-restoring`, readFileSync(`${path}-restoring`))
    writeFileSync(`${to}-restoring.json`, JSON.stringify({ ...journal, progress: lie }))
    const { opens } = opening()
    await restore(to, opens, LAST, systemFileOps, resumable)
    assert.ok(readFileSync(to).equals(states[7].bytes))
  }
})

test('a bad archive leaves nothing, and what a person refuses is kept', async () => {
  const path = newPath()
  const { opens } = opening()
  const bad: OpenNext = async () => {
    throw new WalcastError('ARCHIVE_BROKEN', { name: 'a', detail: 'b' })
  }
  const failing = restore(path, [...opens.slice(0, 2), bad], LAST, systemFileOps, resumable)
  await assert.rejects(failing, (error) => keyOf(error) === 'ARCHIVE_BROKEN')
  assert.equal(existsSync(`${path}-restoring`), false)
  const approve = async () => {
    throw new WalcastError('RESTORE_UNSOUND', { txid: 1, detail: 'x' })
  }
  const steps = { ...resumable, approve }
  const refused = restore(path, opening().opens, LAST, systemFileOps, steps)
  await assert.rejects(refused, (error) => keyOf(error) === 'RESTORE_UNSOUND')
  const again = opening()
  await restore(path, again.opens, LAST, systemFileOps, resumable)
  assert.equal(again.read(), 0, 'nothing is read again')
  assert.ok(readFileSync(path).equals(states[7].bytes))
})

test('a file that is used up stays for the same restore until that is done', async () => {
  const path = newPath()
  let uses = 0
  const publish = async (side: string) => {
    assert.ok(readFileSync(side).equals(states[7].bytes))
    if (++uses === 1) throw new Error('its user was in no position to use it')
  }
  const steps: RestoreSteps = { ...resumable, publish, isUsedUp: true }
  await assert.rejects(restore(path, opening().opens, LAST, systemFileOps, steps), /in no position/)
  const again = opening()
  await restore(path, again.opens, LAST, systemFileOps, steps)
  assert.deepEqual([again.read(), uses], [0, 2])
  assert.equal(existsSync(path), false)
})
