/** A body that is sent again is the same body, or it is refused. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { BodyBudget, ReplayableBody } from '../../src/proxy/replayableBody.ts'
import { within } from '../support/until.ts'

/** Yields `chunks`, each at once or a turn of the event loop later. */
function sourceOf(
  chunks: readonly Buffer[],
  isSlow: (at: number) => boolean = () => false,
): Readable {
  let next = 0
  return new Readable({
    read() {
      const at = next++
      const give = () => void this.push(at < chunks.length ? chunks[at] : null)
      if (isSlow(at)) setImmediate(give)
      else give()
    },
  })
}

/**
 * Reads up to `limit` bytes, a chunk a turn when `isSlow`. Resolves with what came, and whether it
 * ended.
 */
async function take(stream: Readable, limit = Number.POSITIVE_INFINITY, isSlow = false) {
  const chunks: Buffer[] = []
  let bytes = 0
  if (limit === 0) return { bytes: Buffer.alloc(0), isWhole: false }
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk)
    bytes += chunk.length
    if (isSlow) await turn()
    if (bytes >= limit) return { bytes: Buffer.concat(chunks), isWhole: false }
  }
  return { bytes: Buffer.concat(chunks), isWhole: true }
}

const chunkings = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40_000 }), { maxLength: 8 })

test('however it is cut or broken off, it is the same body again or none', async () => {
  await fc.assert(
    fc.asyncProperty(
      chunkings,
      fc.nat(120_000),
      fc.nat(120_000),
      fc.array(fc.nat(120_000), { maxLength: 3 }),
      fc.array(fc.boolean(), { maxLength: 9 }),
      fc.boolean(),
      fc.nat(5),
      async (given, maxBytes, limitBytes, breaks, slow, isReaderSlow, gathersAt) => {
        const chunks = given.map((chunk) => Buffer.from(chunk))
        const whole = Buffer.concat(chunks)
        const budget = new BodyBudget(limitBytes)
        const seen: Buffer[] = []
        const source = sourceOf(chunks, (at) => slow[at] ?? false)
        const body = new ReplayableBody(source, maxBytes, budget, (chunk) => void seen.push(chunk))
        const gather = async () => {
          const could = body.canReplay
          const isWhole = await within('all of it, or the bound', body.gather())
          assert.equal(body.canReplay, could, 'it can be sent as before')
          if (isWhole) assert.ok(Buffer.concat(seen).equals(whole))
        }
        for (const [at, limit] of breaks.entries()) {
          if (at === gathersAt) await gather()
          if (!body.canReplay) break
          const stream = body.stream()
          const { bytes } = await take(stream, limit, isReaderSlow)
          assert.deepEqual(bytes, whole.subarray(0, bytes.length), 'a part of the body')
          assert.ok(budget.usedBytes <= limitBytes)
          // Destroyed by its reader, or by the next stream.
          if (limit % 2 === 0) stream.destroy()
        }
        // Keeping a chunk costs up to 128 bytes beside its own.
        if (breaks.length <= gathersAt) await gather()
        const mayFit = whole.length <= maxBytes && whole.length + 128 * chunks.length <= limitBytes
        if (mayFit) assert.equal(body.canReplay, true)
        if (body.canReplay) {
          const last = await within(
            'the end of the body',
            take(body.stream(), undefined, isReaderSlow),
          )
          assert.equal(last.isWhole, true)
          assert.ok(last.bytes.equals(whole), `${last.bytes.length} bytes of ${whole.length}`)
          assert.ok(Buffer.concat(seen).equals(whole), 'each byte was seen once')
        } else assert.throws(() => body.stream())
        body.release()
        body.release()
        assert.equal(budget.usedBytes, 0)
        assert.equal(body.canReplay, false)
      },
    ),
    { numRuns: 300 },
  )
})

test('a second stream starts at the beginning, whatever the first one had read', async () => {
  const body = new ReplayableBody(
    sourceOf([Buffer.from('abc'), Buffer.from('def')]),
    100,
    new BodyBudget(100_000),
  )
  const first = body.stream()
  await take(first, 1)
  const second = body.stream()
  assert.equal(first.destroyed, true)
  assert.equal((await take(second)).bytes.toString(), 'abcdef')
  assert.equal(
    (await take(body.stream())).bytes.toString(),
    'abcdef',
    'whole and gone, it comes again',
  )
})

test('a kept body takes from a shared budget and gives it back', async () => {
  const budget = new BodyBudget(200)
  const one = new ReplayableBody(sourceOf([Buffer.alloc(6)]), 100, budget)
  const two = new ReplayableBody(sourceOf([Buffer.alloc(3), Buffer.alloc(3)]), 100, budget)
  await take(one.stream())
  assert.equal((await take(two.stream())).bytes.length, 6, 'it is sent all the same')
  assert.deepEqual([one.canReplay, two.canReplay, budget.usedBytes], [true, false, 134])
  one.release()
  assert.equal(budget.usedBytes, 0)
})

test('a body released while it is sent again is still sent to its end', async () => {
  const chunks = ['first', 'second', 'third'].map((text) => Buffer.from(text))
  for (const already of [0, 1, 2]) {
    const body = new ReplayableBody(sourceOf(chunks), 1000, new BodyBudget(100_000))
    await take(body.stream())
    const again = body.stream()
    const got: Buffer[] = []
    for (let i = 0; i < already; i++) {
      again.read(0)
      got.push(again.read())
      await turn()
    }
    body.release()
    const rest = await take(again).catch((error: Error) => error)
    // It may refuse to go on. A false end would make a shorter request of it.
    if (!(rest instanceof Error))
      assert.equal(
        Buffer.concat([...got, rest.bytes]).toString(),
        'firstsecondthird',
        `after ${already}`,
      )
  }
})

test('nothing is read unless somebody sends it', async () => {
  let reads = 0
  const source = new Readable({
    highWaterMark: 1,
    read() {
      reads++
      setImmediate(() => this.push(Buffer.alloc(1000)))
    },
  })
  const body = new ReplayableBody(source, 10_000_000, new BodyBudget(10_000_000))
  for (let i = 0; i < 5; i++) await turn()
  assert.equal(reads, 0)
  const stream = body.stream()
  await take(stream, 5000)
  stream.destroy()
  for (let i = 0; i < 5; i++) await turn()
  const stopped = reads
  for (let i = 0; i < 20; i++) await turn()
  assert.ok(reads <= stopped + 1, `${reads - stopped} reads that nobody asked for`)
  // A reader that takes nothing holds the source back.
  body.stream().read(0)
  for (let i = 0; i < 200; i++) await turn()
  assert.ok(reads < stopped + 100, `${reads - stopped} chunks read ahead`)
})

const failures: Record<string, (source: Readable) => void> = {
  'an error': (source) => source.destroy(new Error('cut')),
  'a close without an end': (source) => source.destroy(),
}
for (const [name, fail] of Object.entries(failures)) {
  test(`${name} in the middle of the body fails each stream`, async () => {
    const source = new Readable({ read() {} })
    source.on('error', () => {})
    source.push(Buffer.from('part'))
    const body = new ReplayableBody(source, 100, new BodyBudget(100_000))
    const first = body.stream()
    await take(first, 4)
    fail(source)
    await within('the failure', assert.rejects(take(first)))
    await within('the failure again', assert.rejects(take(body.stream())))
  })

  test(`${name} while nobody reads fails the next stream`, async () => {
    const source = new Readable({ read() {} })
    source.on('error', () => {})
    source.push(Buffer.from('part'))
    const body = new ReplayableBody(source, 100, new BodyBudget(100_000))
    const first = body.stream()
    await take(first, 4)
    first.destroy()
    fail(source)
    await turn()
    await within('the failure', assert.rejects(take(body.stream())))
  })

  test(`${name} before anybody read fails the first stream`, async () => {
    const source = new Readable({ read() {} })
    source.on('error', () => {})
    const body = new ReplayableBody(source, 100, new BodyBudget(100_000))
    fail(source)
    await turn()
    await within('the failure', assert.rejects(take(body.stream())))
  })
}

test('an error after the end changes nothing', async () => {
  const source = sourceOf([Buffer.from('abc')])
  const body = new ReplayableBody(source, 100, new BodyBudget(100_000))
  await take(body.stream())
  source.emit('error', new Error('late'))
  assert.equal((await take(body.stream())).bytes.toString(), 'abc')
})
