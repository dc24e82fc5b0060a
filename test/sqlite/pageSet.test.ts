import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PageSet } from '../../src/sqlite/pageSet.ts'

type Op =
  | { readonly kind: 'add' | 'delete'; readonly page: number }
  | { readonly kind: 'addRange' | 'deleteRange'; readonly from: number; readonly to: number }
  | { readonly kind: 'take'; readonly from: number; readonly most: number }

const page = fc.oneof(
  fc.integer({ min: 1, max: 70 }),
  fc.integer({ min: 1, max: 20_000 }),
  fc.constantFrom(31, 32, 33, 63, 64, 2047, 2048),
)
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('add' as const), page }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), page }) },
  {
    weight: 3,
    arbitrary: fc
      .record({
        kind: fc.constantFrom('addRange' as const, 'deleteRange' as const),
        from: page,
        length: fc.nat(300),
      })
      .map(({ kind, from, length }) => ({ kind, from, to: from + length - 1 })),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('take' as const), from: page, most: fc.nat(20) }),
  },
)

const sorted = (pages: Iterable<number>) => [...pages].sort((a, b) => a - b)

test('a page set does what a set of numbers does', () => {
  fc.assert(
    fc.property(fc.nat(3000), fc.array(op, { maxLength: 80 }), (pages, ops) => {
      const set = new PageSet(pages)
      const model = new Set<number>()
      for (const each of ops) {
        if (each.kind === 'take') {
          const expected = sorted(model)
            .filter((of) => of >= each.from)
            .slice(0, each.most)
          assert.deepEqual(set.take(each.from, each.most), expected)
          for (const taken of expected) model.delete(taken)
        } else if ('to' in each) {
          set[each.kind](each.from, each.to)
          const change = each.kind === 'addRange' ? 'add' : 'delete'
          for (let of = each.from; of <= each.to; of++) model[change](of)
        } else {
          set[each.kind](each.page)
          model[each.kind](each.page)
        }
        assert.equal(set.size, model.size)
        assert.equal(set.peek(), sorted(model)[0] ?? 0)
      }
      assert.deepEqual(set.take(1, model.size + 1), sorted(model))
      assert.equal(set.size, 0)
    }),
    { numRuns: 400 },
  )
})

test('every page of a database is in the set once, in order', () => {
  for (const pages of [1, 31, 32, 33, 64, 5000]) {
    const set = new PageSet(pages)
    for (let of = pages; of >= 1; of--) set.add(of)
    for (let of = 1; of <= pages; of++) set.add(of)
    assert.equal(set.size, pages)
    const taken: number[] = []
    for (let part = set.take(1, 7); part.length > 0; part = set.take(1, 7)) taken.push(...part)
    assert.deepEqual(
      taken,
      Array.from({ length: pages }, (_, i) => i + 1),
    )
  }
})

test('a pass over the set goes on behind the pages that it took', () => {
  const set = new PageSet(100)
  for (const of of [3, 40, 41, 99]) set.add(of)
  assert.deepEqual(set.take(1, 2), [3, 40])
  set.add(3)
  assert.deepEqual(set.take(41, 2), [41, 99])
  assert.deepEqual(set.take(100, 2), [])
  assert.deepEqual(set.take(1, 2), [3])
})

test('page numbers above 2^31 are told from those below', () => {
  const high = 2 ** 31 + 900
  const set = new PageSet(high)
  set.add(high)
  set.add(900)
  assert.equal(set.size, 2)
  assert.deepEqual(set.take(2 ** 31, 10), [high])
  assert.deepEqual(set.take(1, 1), [900])
})
