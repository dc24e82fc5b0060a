/**
 * A comparison of pages ends with the leader's state, whatever both sides held, however often the
 * connection broke and whatever was written meanwhile. Without writes it sends exactly the pages
 * that differ.
 */
import assert from 'node:assert/strict'
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { decode, payloadPage, payloadPageNumber } from '../../proto/codec.ts'
import { GROUP_PAGES, MAX_SUMS } from '../../proto/limits.ts'
import type { Body } from '../../proto/messages.ts'
import { PageServer } from '../../src/feed/pageServer.ts'
import { Comparison, type ComparisonLink } from '../../src/replica/comparison.ts'
import { FrameMap } from '../../src/sqlite/frameMap.ts'
import { scanPages } from '../../src/sqlite/pageScan.ts'
import { PageSums, pageSum } from '../../src/sqlite/pageSums.ts'
import { lockPage } from '../../src/sqlite/walFormat.ts'
import { checksumHex } from '../../src/xxh64.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-resync-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let files = 0

/** A database file of any content, and its page checksums. Nothing writes the lock page. */
class Side {
  readonly fd: number
  readonly pageSize: number
  readonly path = join(folder, `${++files}`)
  sums: PageSums

  constructor(pageSize: number) {
    this.fd = openSync(this.path, 'w+')
    this.pageSize = pageSize
    this.sums = new PageSums(pageSize)
  }

  write(page: number, image: Buffer): void {
    if (page === lockPage(this.pageSize)) return
    writeSync(this.fd, image, 0, image.length, (page - 1) * this.pageSize)
    this.sums.set(page, pageSum(page, image))
    this.sums.settle()
  }

  fill(page: number, content: number): void {
    this.write(page, Buffer.alloc(this.pageSize, content))
  }

  resize(pages: number): void {
    const before = this.sums.pages
    ftruncateSync(this.fd, pages * this.pageSize)
    this.sums.resize(pages)
    for (let page = before + 1; page <= pages; page++) this.fill(page, 0)
    this.sums.settle()
  }

  async scan(): Promise<PageSums> {
    const { fd, pageSize, sums } = this
    const source = {
      databaseFd: fd,
      walFd: fd,
      pageSize,
      pages: sums.pages,
      frames: new FrameMap(),
    }
    return (await scanPages(source)).sums
  }
}

/**
 * A change of the leader between two messages: pages and the bytes that fill them, then perhaps
 * another size.
 */
interface Change {
  readonly pages: readonly (readonly [number, number])[]
  readonly size: number | undefined
}

interface Outcome {
  readonly images: number
  readonly comparedBytes: number
  readonly isWhole: boolean
}

/**
 * Runs one connection: the replica takes messages until it is synced, or until `cutAfter` messages
 * of pages.
 */
async function connect(
  leader: Side,
  replica: Side,
  changes: Change[] = [],
  cutAfter = Number.POSITIVE_INFINITY,
): Promise<Outcome> {
  let txid = 1
  let images = 0
  let comparedBytes = 0
  let messages = 0
  const take = (bytes: Buffer): Body<'pages'> => {
    const { type, body, payload } = decode(bytes)
    assert.ok(type === 'pages' || type === 'synced')
    images += body.pages
    for (let i = 0; i < body.pages; i++)
      replica.write(
        payloadPageNumber(payload, i),
        payloadPage(payload, i, body.pages, body.pageSize),
      )
    return body as Body<'pages'>
  }
  let last: Body<'synced'> | undefined
  const server: PageServer = new PageServer({
    db: 'main',
    files: {
      path: leader.path,
      walPath: '',
      pageSize: leader.pageSize,
      database: { path: leader.path, fd: leader.fd, dev: 0n, ino: 0n },
      shm: { path: '', fd: -1, dev: 0n, ino: 0n },
      walFd: leader.fd,
    },
    sums: leader.sums,
    frames: new FrameMap(),
    position: () => ({
      epoch: 1,
      incarnation: '0123456789abcdef',
      txid,
      checksum: checksumHex(leader.sums.state),
      isOpen: false,
    }),
    isConnected: () => true,
    look() {},
    async send(message, onTaken) {
      take(message)
      onTaken()
      if (++messages >= cutAfter) throw new Error('cut')
      const change = changes.shift()
      if (!change) return
      for (const [page, content] of change.pages)
        if (page <= leader.sums.pages) leader.fill(page, content)
      if (change.size !== undefined) leader.resize(change.size)
      txid++
      const grown = Array.from({ length: leader.sums.pages }, (_, i) => i + 1)
      server.onCaptured(change.size === undefined ? change.pages.map(([page]) => page) : grown)
    },
    finish(message) {
      const { body } = decode(message)
      take(message)
      last = body as Body<'synced'>
    },
  })
  const asked: { readonly groups: Buffer; readonly last: boolean }[] = []
  const link: ComparisonLink = {
    connectionId: 1,
    bufferedBytes: 0,
    send(type, body, payload) {
      comparedBytes += payload?.length ?? 0
      const sums = Buffer.from(payload ?? [])
      if (type === 'groups') {
        const { firstGroup, last: isLast } = body as Body<'groups'>
        server.skipEqualGroups(firstGroup, sums)
        if (!isLast) return
        const differing = [...server.differing]
        for (let at = 0; at < differing.length; at += MAX_SUMS) {
          const part = Uint32Array.from(differing.slice(at, at + MAX_SUMS))
          asked.push({ groups: Buffer.from(part.buffer), last: at + MAX_SUMS >= differing.length })
        }
      } else server.skipEqual((body as Body<'have'>).firstPage, sums)
    },
  }
  const comparison = new Comparison('main', replica.sums, link)
  await comparison.sendGroups()
  for (const { groups, last: isLast } of asked) await comparison.onDiffer(groups, isLast)
  await server.run().catch((error) => assert.equal(error.message, 'cut'))
  if (last) {
    replica.resize(last.dbPages)
    assert.equal(checksumHex(replica.sums.state), last.checksum)
    assert.equal(last.txid, txid)
  }
  return { images, comparedBytes, isWhole: last !== undefined }
}

async function requireEqual(leader: Side, replica: Side): Promise<void> {
  const [a, b] = [await leader.scan(), await replica.scan()]
  assert.equal(b.pages, a.pages)
  for (let page = 1; page <= a.pages; page++) assert.equal(b.get(page), a.get(page), `page ${page}`)
  assert.equal(b.state, leader.sums.state)
}

const contents = fc.integer({ min: 0, max: 5 })
const database = fc.array(contents, { minLength: 1, maxLength: 3 * GROUP_PAGES, size: 'max' })
const change = fc.record({
  pages: fc.array(fc.tuple(fc.integer({ min: 1, max: 3 * GROUP_PAGES }), contents), {
    maxLength: 6,
  }),
  size: fc.option(fc.integer({ min: 1, max: 3 * GROUP_PAGES }), { nil: undefined }),
})

function sideOf(pageSize: number, pages: readonly number[]): Side {
  const side = new Side(pageSize)
  for (let i = 0; i < pages.length; i++) side.fill(i + 1, pages[i])
  return side
}

test('only the pages that differ are sent, and only groups that differ are compared', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(512, 4096),
      database,
      database,
      async (pageSize, theirs, ours) => {
        const [leader, replica] = [sideOf(pageSize, theirs), sideOf(pageSize, ours)]
        const differ = theirs.map((content, i) => (content === ours[i] ? 0 : 1))
        const groups = new Set(
          differ.flatMap((each, i) => (each ? [Math.floor(i / GROUP_PAGES)] : [])),
        )
        if (ours.length > theirs.length) groups.add(Math.floor(theirs.length / GROUP_PAGES))
        const outcome = await connect(leader, replica)
        assert.ok(outcome.isWhole)
        assert.equal(outcome.images, differ.filter((each) => each).length)
        assert.ok(
          outcome.comparedBytes <=
            8 * (Math.ceil(ours.length / GROUP_PAGES) + groups.size * GROUP_PAGES),
        )
        await requireEqual(leader, replica)
        closeSync(leader.fd)
        closeSync(replica.fd)
      },
    ),
    { numRuns: 60 },
  )
})

test('concurrent writes, size changes and broken connections end in the same state', async () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(
      database,
      database,
      fc.array(change, { maxLength: 8 }),
      cuts,
      async (theirs, ours, changes, at) => {
        // 64 KiB pages take several messages for one pass.
        const [leader, replica] = [
          sideOf(65536, theirs.slice(0, 90)),
          sideOf(65536, ours.slice(0, 90)),
        ]
        const left = changes.map(({ pages, size }) => ({
          pages,
          size: size && Math.min(size, 100),
        }))
        for (const cutAfter of at) await connect(leader, replica, left, cutAfter)
        while (!(await connect(leader, replica, left)).isWhole);
        await requireEqual(leader, replica)
        closeSync(leader.fd)
        closeSync(replica.fd)
      },
    ),
    { numRuns: 25 },
  )
})

test('around the page that holds byte 2^30, in sparse databases past 1 GiB', async () => {
  const pageSize = 65536
  const lock = lockPage(pageSize)
  const around = fc.integer({ min: lock - 2 * GROUP_PAGES, max: lock + 3 * GROUP_PAGES })
  const zero = new PageSums(pageSize)
  const image = Buffer.alloc(pageSize)
  for (let page = 1; page <= lock + 3 * GROUP_PAGES; page++) zero.set(page, pageSum(page, image))
  const sparse = (pages: number): Side => {
    const side = new Side(pageSize)
    ftruncateSync(side.fd, pages * pageSize)
    side.sums.resize(pages)
    for (let page = 1; page <= pages; page++) if (page !== lock) side.sums.set(page, zero.get(page))
    side.sums.settle()
    return side
  }
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(around, around),
      fc.uniqueArray(around, { maxLength: 12 }),
      async ([theirs, ours], changed) => {
        const [leader, replica] = [sparse(theirs), sparse(ours)]
        for (const page of changed) if (page <= theirs) leader.fill(page, 7)
        const outcome = await connect(leader, replica)
        const grown = Array.from({ length: Math.max(0, theirs - ours) }, (_, i) => ours + i + 1)
        const differ = new Set([...changed.filter((page) => page <= theirs), ...grown])
        differ.delete(lock)
        assert.equal(outcome.images, differ.size)
        assert.equal(replica.sums.state, leader.sums.state)
        for (const page of changed)
          if (page <= theirs) assert.equal(replica.sums.get(page), leader.sums.get(page))
        closeSync(leader.fd)
        closeSync(replica.fd)
        rmSync(leader.path)
        rmSync(replica.path)
      },
    ),
    { numRuns: 6 },
  )
})
