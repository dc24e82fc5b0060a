/** A position counts as contained exactly when following the epochs back from the present state meets it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { contains, type EpochBegin, type Lineage, MAX_LINEAGE, withBegin } from '../proto/lineage.ts'

/** Of every epoch: the one that it came from, at which txid, and how far it got. */
interface Branch {
  readonly from: number
  readonly at: number
  readonly length: number
  /** Whether that is known. */
  readonly told: boolean
}

const branches = fc.array(
  fc.record({
    from: fc.nat(7),
    at: fc.nat(20),
    length: fc.nat(20),
    told: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
)

test('what a tree of epochs holds is what following it back finds', () => {
  fc.assert(
    fc.property(branches, fc.nat(10), fc.nat(50), (given: Branch[], ofEpoch, txid) => {
      /** Epoch i + 1: the states that it has, as `epoch-txid` of the epoch that made them. */
      const ends: number[] = []
      const known: Set<string>[] = []
      let lineage: Lineage = []
      given.forEach(({ from, at, length, told }, i) => {
        const epoch = i + 1
        const parent = from % (i + 1)
        const begin = parent === 0 ? at : Math.min(at, ends[parent - 1])
        const has = new Set<string>()
        if (told && parent > 0)
          for (const state of known[parent - 1]) if (Number(state.split('-')[1]) <= begin) has.add(state)
        for (let each = told && parent > 0 ? begin : 0; each <= begin + length; each++)
          has.add(`${epoch}-${each}`)
        if (told && parent > 0) for (let each = 0; each <= begin; each++) has.add(`${epoch}-${each}`)
        ends.push(begin + length)
        known.push(has)
        if (told && parent > 0)
          lineage = withBegin(lineage, { epoch, txid: begin, after: parent, leader: '', exact: true })
      })
      const now = { epoch: given.length, txid: ends[given.length - 1] }
      const position = { epoch: 1 + (ofEpoch % given.length), txid }
      assert.equal(contains(now, lineage, position), known[given.length - 1].has(`${position.epoch}-${txid}`))
    }),
  )
})

test('a position of a higher epoch is never contained', () => {
  assert.equal(
    contains({ epoch: 2, txid: 9 }, [{ epoch: 2, txid: 5, after: 1, leader: 'a', exact: true }], {
      epoch: 3,
      txid: 1,
    }),
    false,
  )
})

test('what a failover left behind is not contained, what was before it is', () => {
  const lineage = [{ epoch: 2, txid: 5, after: 1, leader: 'a', exact: true }]
  assert.equal(contains({ epoch: 2, txid: 9 }, lineage, { epoch: 1, txid: 5 }), true)
  assert.equal(contains({ epoch: 2, txid: 9 }, lineage, { epoch: 1, txid: 6 }), false)
})

test('entries are ordered, unique, bounded, and lead back', () => {
  const begins = fc.record({
    epoch: fc.nat(200),
    txid: fc.nat(1000),
    after: fc.nat(200),
    leader: fc.constant(''),
    exact: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(begins, { maxLength: 150 }), (all: EpochBegin[]) => {
      const lineage = all.reduce(withBegin, [] as Lineage)
      assert.ok(lineage.length <= MAX_LINEAGE)
      lineage.forEach(({ epoch, after }, i) => {
        assert.ok(after < epoch)
        assert.ok(i === 0 || lineage[i - 1].epoch < epoch)
      })
    }),
  )
})

test('what is taken to follow is contained, and no proof', () => {
  const lineage = [{ epoch: 2, txid: 5, after: 1, leader: 'a', exact: false }]
  assert.equal(contains({ epoch: 2, txid: 9 }, lineage, { epoch: 1, txid: 5 }), true)
  assert.equal(contains({ epoch: 2, txid: 9 }, lineage, { epoch: 1, txid: 5 }, true), false)
})

test('two branches of one epoch, made by force, are told apart by who led', () => {
  const lineage = [
    { epoch: 2, txid: 5, after: 1, leader: 'a', exact: true },
    { epoch: 3, txid: 9, after: 2, leader: 'a', exact: true },
  ]
  const now = { epoch: 3, txid: 12, leader: 'a' }
  assert.equal(contains(now, lineage, { epoch: 2, txid: 7, leader: 'a' }, true), true)
  assert.equal(contains(now, lineage, { epoch: 2, txid: 7, leader: 'b' }, true), false)
  assert.equal(contains(now, lineage, { epoch: 3, txid: 10, leader: 'b' }, true), false)
  assert.equal(contains(now, lineage, { epoch: 2, txid: 7, leader: '' }, true), true)
})
