/** Parts of a snapshot or a transaction: which of their pages count, and that none is missing. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'
import type { PageImage } from '../../src/backup/archiveFileWriter.ts'
import { restore } from '../../src/backup/restore.ts'
import { keyOf } from '../../src/errors.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { PageSums, pageSum } from '../../src/sqlite/pageSums.ts'
import { checksumHex } from '../../src/xxh64.ts'
import { opened } from '../support/archiveBytes.ts'
import {
  archiveOf,
  changed,
  fileOf,
  ONE,
  pagesOf,
  type State,
  statesOf,
  TWO,
} from '../support/archives.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-parts-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** Files of this test. */
let made = 0
const newSource = () => join(folder, `source-${++made}.db`)
const newPath = () => join(folder, `restored-${++made}.db`)

async function restoreAt(
  files: readonly Buffer[],
  txid: number,
  incarnation: string,
  path: string,
): Promise<void> {
  const opens = files.map((bytes) => () => opened(bytes))
  await restore(path, opens, { incarnation, txid }, systemFileOps)
}

/** Nothing has the name of the restored database, and nothing lies beside it. */
async function refused(code: string, run: (path: string) => Promise<unknown>): Promise<void> {
  const path = newPath()
  await assert.rejects(run(path), (error) => keyOf(error) === code, code)
  const name = path.slice(folder.length + 1)
  assert.deepEqual(
    readdirSync(folder).filter((each) => each.startsWith(name)),
    [],
  )
}

/** `bytes` with every page filled anew: what a part holds that a later part corrects. */
const spoilt = (images: readonly PageImage[], fill: number): PageImage[] =>
  images.map(({ number, bytes }) => ({ number, bytes: Buffer.alloc(bytes.length, fill) }))

/** An open position: its checksum and its number of pages are not known yet. */
const openAt = ({ txid }: State, bytes: Buffer): State => ({
  txid,
  bytes,
  checksum: '0000000000000000',
})

test('of parts that hold the same page the later one counts, past the last size none', async () => {
  const pageSize = 512
  const states = statesOf(newSource(), pageSize)
  const [one, two] = states
  const whole = pagesOf(one.bytes, pageSize)
  const longer = openAt(one, Buffer.alloc(one.bytes.length + 3 * pageSize))
  const beyond = [1, 2, 3].map((i) => ({
    number: whole.length + i,
    bytes: Buffer.alloc(pageSize, 'x'),
  }))
  const about = { kind: 'snapshot' as const, fromIncarnation: '', fromEpoch: 0 }
  const snapshot = [
    await fileOf(pageSize, {
      about,
      points: [[longer, [...spoilt(whole, 1), ...beyond]]],
      isOpen: true,
    }),
    await fileOf(pageSize, {
      about,
      points: [[openAt(one, one.bytes), spoilt(whole.slice(0, 1), 2)]],
      continues: true,
      isOpen: true,
    }),
    await fileOf(pageSize, { about, points: [[one, whole]], continues: true }),
  ]
  const path = newPath()
  await restoreAt(snapshot, one.txid, ONE, path)
  assert.ok(readFileSync(path).equals(one.bytes))

  const images = changed(one, two, pageSize)
  const from = { fromTxid: one.txid, fromChecksum: one.checksum }
  const changes = [
    await fileOf(pageSize, {
      about: from,
      points: [[openAt(two, two.bytes), spoilt(images, 3)]],
      isOpen: true,
    }),
    await fileOf(pageSize, { about: from, points: [[two, images]], continues: true }),
  ]
  const next = newPath()
  await restoreAt([...snapshot, ...changes], two.txid, ONE, next)
  assert.ok(readFileSync(next).equals(two.bytes))

  const half = await fileOf(pageSize, {
    about: from,
    points: [[two, images.slice(1)]],
    continues: true,
  })
  const stale = [...snapshot, changes[0], half]
  await refused('ARCHIVE_MISMATCH', (at) => restoreAt(stale, two.txid, ONE, at))
})

test('a part goes on with its own position only, and all files are of one database', async () => {
  const pageSize = 512
  const states = statesOf(newSource(), pageSize)
  const [one, two, three] = states
  const [snapshot, first] = await archiveOf(states, pageSize)
  const about = { fromTxid: one.txid, fromChecksum: one.checksum }
  const images = changed(one, two, pageSize)
  const begun = await fileOf(pageSize, {
    about,
    points: [[openAt(two, two.bytes), images.slice(0, 5)]],
    isOpen: true,
  })
  const ending = (more: Partial<ArchiveHeader>, state = two) =>
    fileOf(pageSize, {
      about: { ...about, ...more },
      points: [[state, images.slice(5)]],
      continues: true,
    })
  for (const other of [
    await ending({}, { ...three, bytes: two.bytes, checksum: two.checksum }),
    await ending({ incarnation: TWO }),
    await ending({ kind: 'snapshot' }),
    await ending({ cluster: 'cluster-b' }),
    await ending({ db: 'other' }),
  ]) {
    await refused('ARCHIVE_GAP', (at) => restoreAt([snapshot, begun, other], two.txid, ONE, at))
    await refused('ARCHIVE_GAP', (at) => restoreAt([snapshot, begun, other], three.txid, ONE, at))
  }
  const wider = await archiveOf(statesOf(newSource(), 1024), 1024)
  await refused('ARCHIVE_GAP', (at) => restoreAt([snapshot, wider[1]], two.txid, ONE, at))
  const path = newPath()
  await restoreAt([snapshot, first], two.txid, ONE, path)
  assert.ok(readFileSync(path).equals(two.bytes))
})

test('a position in a file that ends in a part of another one is restored', async () => {
  const pageSize = 512
  const states = statesOf(newSource(), pageSize)
  const [one, two, three] = states
  const [snapshot] = await archiveOf(states, pageSize)
  const about = { fromTxid: one.txid, fromChecksum: one.checksum }
  const images = changed(two, three, pageSize)
  const begun = await fileOf(pageSize, {
    about,
    points: [
      [two, changed(one, two, pageSize)],
      [openAt(three, three.bytes), images.slice(0, 1)],
    ],
    isOpen: true,
  })
  const ended = await fileOf(pageSize, {
    about: { fromTxid: two.txid, fromChecksum: two.checksum },
    points: [[three, images.slice(1)]],
    continues: true,
  })
  for (const [txid, bytes] of [
    [two.txid, two.bytes],
    [three.txid, three.bytes],
  ] as const) {
    const path = newPath()
    await restoreAt([snapshot, begun, ended], txid, ONE, path)
    assert.ok(readFileSync(path).equals(bytes), `txid ${txid}`)
  }
})

/** State checksum of some pages. */
function checksumOf(images: readonly PageImage[], pageSize: number): string {
  const sums = new PageSums(pageSize)
  for (const { number, bytes } of images) sums.set(number, pageSum(number, bytes))
  return checksumHex(sums.state)
}

test('a page that no file holds is missed, whatever the checksum says', async () => {
  const pageSize = 512
  const [one, , , , , , , longest] = statesOf(newSource(), pageSize)
  const about = { kind: 'snapshot' as const, fromIncarnation: '', fromEpoch: 0 }
  const whole = pagesOf(one.bytes, pageSize)
  const holed = whole.toSpliced(1, 1)
  const snapshot = await fileOf(pageSize, {
    about,
    points: [[{ ...one, checksum: checksumOf(holed, pageSize) }, holed]],
  })
  await refused('ARCHIVE_MISMATCH', (at) => restoreAt([snapshot], one.txid, ONE, at))

  const sound = await fileOf(pageSize, { about, points: [[one, whole]] })
  const grown = pagesOf(longest.bytes, pageSize).toSpliced(whole.length, 1)
  const changes = await fileOf(pageSize, {
    about: { fromTxid: one.txid, fromChecksum: one.checksum },
    points: [[{ ...longest, checksum: checksumOf(grown, pageSize) }, grown]],
  })
  await refused('ARCHIVE_MISMATCH', (at) => restoreAt([sound, changes], longest.txid, ONE, at))
})
