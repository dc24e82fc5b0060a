/** What lies in a place counts once it was checked, and only then older ones go. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pino } from 'pino'
import type { DatedCheckOrder } from '../../../src/backup/dated/datedCheck.ts'
import { removeFolder } from '../../../src/backup/dated/datedFolder.ts'
import { formatDatedName } from '../../../src/backup/dated/datedNames.ts'
import { DatedPlace } from '../../../src/backup/dated/datedPlace.ts'
import { DirectoryStore } from '../../../src/backup/stores/directoryStore.ts'
import { type ErrorCode, WalcastError } from '../../../src/errors.ts'
import { parseKeep } from '../../../src/options/keepPolicy.ts'
import { systemFileOps } from '../../../src/platform/fileOps.ts'
import { ONE } from '../../support/archives.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-place-'))
after(() => rmSync(root, { recursive: true, force: true }))

const PAGE = 1024
const DAY = 86_400_000
let made = 0

/** A place whose checks end as told, in turn; without an error after that. */
class Site {
  readonly folder = join(root, String(++made))
  readonly orders: DatedCheckOrder[] = []
  readonly ends: ErrorCode[] = []
  taken = 0

  constructor() {
    mkdirSync(this.folder)
  }

  /** As of a new process. */
  start(): DatedPlace {
    const store = new DirectoryStore(join(this.folder, 'place'), systemFileOps)
    const parts = {
      ...{ database: 'app', place: store.name, keep: parseKeep('2'), folder: this.folder },
      log: pino({ level: 'silent' }),
      open: async () => store,
      check: async (order: DatedCheckOrder) => {
        this.orders.push(order)
        const end = this.ends.shift()
        if (end) throw new WalcastError(end, { name: order.name, detail: 'as told' })
        return '0'
      },
      onTaken: () => {
        this.taken++
      },
    }
    return new DatedPlace(parts, new AbortController().signal)
  }

  /** Lies there since an earlier process. */
  leave(txid: number, timeMs: number): void {
    const name = formatDatedName({ database: 'app', timeMs, position: { epoch: 1, txid } })
    mkdirSync(join(this.folder, 'place/app'), { recursive: true })
    writeFileSync(join(this.folder, 'place', name), 'packed')
  }

  async put(place: DatedPlace, txid: number): Promise<void> {
    const path = join(this.folder, 'taken')
    writeFileSync(path, Buffer.alloc(PAGE))
    const at = { incarnation: ONE, epoch: 1, txid, checksum: '0' }
    await place.put({ at, timeMs: 0, pages: 1, pageSize: PAGE, path })
  }

  /** The txids that lie there. */
  get txids(): number[] {
    const names = readdirSync(join(this.folder, 'place/app'))
    return names.map((name) => Number(/-(\d+)\.db/.exec(name)?.[1])).sort((a, b) => a - b)
  }
}

test('one that a killed process left is checked once before it counts', async () => {
  const site = new Site()
  for (const txid of [1, 2, 3]) site.leave(txid, Date.now())
  site.ends.push('STORE_UNREACHABLE')
  const place = site.start()
  await assert.rejects(place.resume(), { key: 'STORE_UNREACHABLE' })
  const { last } = place
  assert.equal(last, undefined)
  assert.deepEqual(site.txids, [1, 2, 3])
  assert.ok(await place.resume())
  assert.equal(place.last?.position.txid, 3)
  assert.deepEqual(site.txids, [2, 3])
  assert.equal(await place.resume(), false)
  assert.deepEqual(
    site.orders.map(({ txid, madeOf }) => [txid, madeOf]),
    [
      [3, undefined],
      [3, undefined],
    ],
  )
  assert.equal(site.taken, 0)
})

test('one that is wrong goes, and nothing older does', async () => {
  for (const end of ['ARCHIVE_BROKEN', 'ARCHIVE_MISMATCH', 'RESTORE_UNSOUND'] as const) {
    const site = new Site()
    for (const txid of [1, 2, 3]) site.leave(txid, Date.now())
    site.ends.push(end)
    const place = site.start()
    await assert.rejects(place.resume(), { key: end })
    assert.deepEqual(site.txids, [1, 2], end)
    assert.equal(await place.resume(), false)
  }
})

test('a check that could not be made is made again, of the same file', async () => {
  const site = new Site()
  const place = site.start()
  assert.equal(await place.resume(), false)
  await site.put(place, 7)
  site.ends.push('STORE_UNREACHABLE', 'DRILL_ENDED', 'STOPPING')
  for (const key of [...site.ends]) await assert.rejects(place.resume(), { key })
  assert.deepEqual(site.txids, [7])
  assert.ok(await place.resume())
  assert.equal(new Set(site.orders.map(({ name }) => name)).size, 1)
  assert.deepEqual(site.orders[3].madeOf, { pages: 1, pageSize: PAGE, checksum: '0' })
  assert.deepEqual([place.last?.position.txid, site.taken], [7, 1])
})

test('what was just made stays, whatever the clock said before', async () => {
  const site = new Site()
  for (const txid of [1, 2, 3]) site.leave(txid, Date.now() + 100 * DAY)
  const place = site.start()
  await place.resume()
  for (const txid of [4, 5]) {
    await site.put(place, txid)
    await place.resume()
  }
  assert.deepEqual(site.txids, [4, 5])
  // Of another history, which is shorter.
  await site.put(place, 2)
  await place.resume()
  assert.deepEqual(site.txids, [2, 5])
})

test('a history that began anew is the newest one, and is checked after a kill', async () => {
  const site = new Site()
  for (const txid of [101, 102, 103]) site.leave(txid, Date.now() - DAY)
  const place = site.start()
  await place.resume()
  for (const txid of [1, 2, 3]) {
    await site.put(place, txid)
    if (txid < 3) await place.resume()
  }
  const next = site.start()
  await next.resume()
  assert.equal(site.orders.at(-1)?.txid, 3)
  assert.equal(next.last?.position.txid, 3)
  assert.deepEqual(site.txids, [2, 3, 103])
})

test('a folder is removed with what is in it, or is not there', async () => {
  const folder = join(root, 'on its way')
  mkdirSync(join(folder, 'check'), { recursive: true })
  for (const name of ['taken', 'check/checked.db']) writeFileSync(join(folder, name), 'x')
  await removeFolder(folder)
  assert.equal(existsSync(folder), false)
  await removeFolder(folder)
})
