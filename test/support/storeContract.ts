/** What every store of an archive promises, whatever it is made of. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Store } from '../../src/backup/stores/store.ts'
import { keyOf } from '../../src/errors.ts'

export const put = (store: Store, name: string, ...pieces: readonly (string | Buffer)[]) =>
  store.create(name, async (append) => {
    for (const piece of pieces) {
      const bytes = Buffer.from(piece)
      await append(bytes)
      // They are the caller's again.
      bytes.fill(0)
    }
  })

export async function bytesIn(store: Store, name: string): Promise<Buffer> {
  const object = await store.open(name)
  try {
    return await object.read(0, object.bytes)
  } finally {
    await object.close()
  }
}

export const isCode = (code: string) => (error: unknown) => keyOf(error) === code

interface Promised {
  /** Of two that write one name at once, one is told that it was not the first. */
  readonly isExclusive: boolean
  /** Bytes of an object that is larger than what a store writes at once. */
  readonly largeBytes: number
}

/** `newStore`: an empty one for each test. */
export function storeContract(
  what: string,
  newStore: () => Store | Promise<Store>,
  { isExclusive, largeBytes }: Promised,
): void {
  test(`${what}: an object is written in pieces, listed, read in parts and removed`, async () => {
    const store = await newStore()
    assert.deepEqual(await store.list('changes/0'), [])
    await store.remove('changes/0/a.wca')
    assert.equal(await put(store, 'changes/0/a.wca', 'hello ', 'world'), true)
    assert.equal(await put(store, 'changes/0/b.wca'), true)
    assert.equal(await put(store, 'changes/0-b.wca', 'x'), true)
    assert.equal(await put(store, 'changes/0/1/c.wca', 'x'), true)
    const listed = await store.list('changes/0')
    assert.deepEqual(
      listed.toSorted((a, b) => a.name.localeCompare(b.name)),
      [
        { name: 'changes/0/a.wca', bytes: 11 },
        { name: 'changes/0/b.wca', bytes: 0 },
      ],
    )
    const object = await store.open('changes/0/a.wca')
    assert.equal(object.bytes, 11)
    assert.equal((await object.read(6, 5)).toString(), 'world')
    assert.equal((await object.read(11, 0)).length, 0)
    await assert.rejects(object.read(6, 6), isCode('ARCHIVE_BROKEN'))
    await object.close()
    assert.equal((await bytesIn(store, 'changes/0/b.wca')).length, 0)
    await store.remove('changes/0/a.wca')
    await store.remove('changes/0/a.wca')
    await assert.rejects(store.open('changes/0/a.wca'), isCode('ARCHIVE_MISSING'))
    assert.deepEqual(await store.list('changes/0'), [{ name: 'changes/0/b.wca', bytes: 0 }])
  })

  test(`${what}: an object that is there stays as it is`, async () => {
    const store = await newStore()
    assert.equal(await put(store, 'a', 'first'), true)
    assert.equal(await put(store, 'a', 'second'), false)
    assert.equal(await put(store, 'a', Buffer.alloc(largeBytes)), false)
    assert.equal((await bytesIn(store, 'a')).toString(), 'first')
    const [one, other] = await Promise.all([put(store, 'b', 'one'), put(store, 'b', 'two')])
    const text = (await bytesIn(store, 'b')).toString()
    if (!isExclusive) return assert.ok(['one', 'two'].includes(text))
    assert.deepEqual([one, other].toSorted(), [false, true])
    assert.equal(text, one ? 'one' : 'two')
  })

  test(`${what}: a large object is read as it was written, and is not there before`, async () => {
    const store = await newStore()
    const bytes = Buffer.alloc(largeBytes)
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 2_654_435_761) >>> 13
    const first = Math.floor(largeBytes / 3)
    const isNew = await store.create('x/large', async (append) => {
      await append(bytes.subarray(0, first))
      await append(bytes.subarray(first, first + 1))
      await append(bytes.subarray(first + 1))
      assert.deepEqual(await store.list('x'), [])
      await assert.rejects(store.open('x/large'), isCode('ARCHIVE_MISSING'))
    })
    assert.equal(isNew, true)
    assert.ok((await bytesIn(store, 'x/large')).equals(bytes))
    const object = await store.open('x/large')
    assert.ok((await object.read(first, 1000)).equals(bytes.subarray(first, first + 1000)))
    await object.close()
    assert.deepEqual(await store.list('x'), [{ name: 'x/large', bytes: largeBytes }])
  })

  test(`${what}: a writer that fails leaves nothing`, async () => {
    const store = await newStore()
    for (const bytes of [10, largeBytes]) {
      const failing = store.create('x/a', async (append) => {
        await append(Buffer.alloc(bytes))
        throw new Error('cut')
      })
      await assert.rejects(failing, /cut/)
      assert.deepEqual(await store.list('x'), [])
    }
    assert.equal(await put(store, 'x/a', 'text'), true)
  })

  test(`${what}: no name leads out of the archive`, async () => {
    const store = await newStore()
    for (const name of ['../a', '/a', 'a/../b', '.a', 'a/.b', '', 'a//b', 'a\u0000', 'a/', 'ü']) {
      const what = JSON.stringify(name)
      await assert.rejects(put(store, name, 'x'), RangeError, what)
      await assert.rejects(store.open(name), RangeError, what)
      await assert.rejects(store.list(name), RangeError, what)
      await assert.rejects(store.remove(name), RangeError, what)
    }
  })
}
