/**
 * A restore whose blocks are so large that their pages wait where they were read: it gives the same
 * file, whatever came before, and wherever it was interrupted.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { ArchiveFile } from '../../src/backup/archiveFile.ts'
import { type OpenNext, restore } from '../../src/backup/restore.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { changed, fileOf, ONE, pagesOf, type State, statesOf } from '../support/archives.ts'

const PAGE_SIZE = 4096
/** 128 KiB, as a node writes them. */
const BLOCK_PAGES = 32
const STEPS = [
  'CREATE TABLE a (id INTEGER PRIMARY KEY, b)',
  'INSERT INTO a (b) SELECT randomblob(9000) FROM generate',
  'INSERT INTO a (b) SELECT randomblob(9000) FROM generate',
  'UPDATE a SET b = zeroblob(9000) WHERE id < 70',
  'DELETE FROM a WHERE id > 50',
  'VACUUM',
  'INSERT INTO a (b) SELECT randomblob(9000) FROM generate',
]
const root = mkdtempSync(join(tmpdir(), 'walcast-blocks-'))
after(() => rmSync(root, { recursive: true, force: true }))
let states: State[] = []
let files: Buffer[] = []
before(async () => {
  states = statesOf(join(root, 'source.db'), PAGE_SIZE, STEPS)
  const first = states[2]
  const about = { codec: 'brotli', blockPages: BLOCK_PAGES } as const
  const ofSnapshot = { ...about, kind: 'snapshot', fromIncarnation: '', fromEpoch: 0 } as const
  // Some pages come twice: those of the later part count.
  const twice = pagesOf(states[1].bytes, PAGE_SIZE).slice(0, 100)
  const older = await fileOf(PAGE_SIZE, {
    about: ofSnapshot,
    points: [[first, twice]],
    isOpen: true,
  })
  const all = pagesOf(first.bytes, PAGE_SIZE)
  const newer = await fileOf(PAGE_SIZE, {
    about: ofSnapshot,
    points: [[first, all]],
    continues: true,
  })
  const changes = await fileOf(PAGE_SIZE, {
    about: { ...about, fromTxid: first.txid, fromChecksum: first.checksum },
    points: states
      .slice(3)
      .map((state, i) => [state, changed(states[i + 2], state, PAGE_SIZE)] as const),
  })
  files = [older, newer, changes]
})

function opening(failAt = Number.POSITIVE_INFINITY) {
  let bytes = 0
  const opens = files.map(
    (file, i): OpenNext =>
      async () =>
        ArchiveFile.open({
          name: `file ${i}`,
          bytes: file.length,
          read: async (at, length) => {
            bytes += length
            if (bytes > failAt) throw new Error('the network is lost')
            return Buffer.from(new Uint8Array(file.subarray(at, at + length)).buffer)
          },
        }),
  )
  return { opens, read: () => bytes }
}

test('large blocks give the same file, over an old one and after interruptions', async () => {
  const last = states[states.length - 1]
  const target = { incarnation: ONE, txid: last.txid }
  const whole = opening()
  await restore(join(root, 'whole.db'), whole.opens, target, systemFileOps)
  let made = 0
  let resumed = 0
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 300 }),
      fc.option(fc.nat(states.length - 1)),
      fc.array(fc.integer({ min: 10, max: 99 }), { maxLength: 3 }),
      async (pendingPages, old, cuts) => {
        const path = join(root, `made-${++made}.db`)
        const base = `${path}.old`
        if (old !== null) writeFileSync(base, states[old].bytes)
        const steps = {
          plan: 'a',
          pendingBytes: pendingPages * PAGE_SIZE,
          onResume: () => resumed++,
          ...(old === null ? {} : { base }),
        }
        for (const percent of cuts) {
          const cut = opening((whole.read() * percent) / 100)
          await restore(path, cut.opens, target, systemFileOps, steps).catch((error: Error) =>
            assert.match(error.message, /network/),
          )
        }
        rmSync(path, { force: true })
        await restore(path, opening().opens, target, systemFileOps, steps)
        assert.ok(readFileSync(path).equals(last.bytes))
        rmSync(path)
      },
    ),
    { numRuns: 10 },
  )
  assert.ok(resumed > 1, `${resumed} went on`)
})
