/** What is read from a lock service is a term or a note, whole, or nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type CandidateNote,
  MAX_COUNTED_NODES,
  noteIn,
  type Term,
  termIn,
} from '../../../src/roles/election/electionRecord.ts'

const TERM: Term = {
  epoch: 7,
  node: 'node-a',
  address: 'a:1',
  isAcknowledged: true,
  counted: ['node-b', 'node-c'],
  floor: { epoch: 6, txid: 41 },
  heir: '',
  serial: 7,
}
const NOTE: CandidateNote = {
  node: 'node-b',
  address: 'b:1',
  position: { epoch: 7, txid: 44 },
  checksum: '00112233445566aa',
  knownEpoch: 7,
  priority: 2,
  mayLead: true,
  mark: '12',
}

test('a term and a note are read as they were written, without what is beside them', () => {
  assert.deepEqual(termIn({ ...JSON.parse(JSON.stringify(TERM)), more: 1 }), TERM)
  assert.deepEqual(noteIn({ ...JSON.parse(JSON.stringify(NOTE)), more: 1 }), NOTE)
})

const BAD = [undefined, null, -1, 0.5, 2 ** 60, '\u0000', 'a\nb', [], {}, 'x'.repeat(5000), [null]]
/** Values that are bad anywhere but there. */
const GOOD: Readonly<Record<string, readonly unknown[]>> = { counted: [[]] }

for (const [what, whole, read] of [
  ['term', TERM, termIn],
  ['note', NOTE, noteIn],
] as const)
  for (const field of Object.keys(whole))
    test(`a ${what} is none whose ${field} is missing or of another kind`, () => {
      for (const bad of BAD) {
        const isGood = (GOOD[field] ?? []).some((good) => String(good) === String(bad))
        if (isGood && Array.isArray(bad) && bad.length === 0) continue
        assert.equal(read({ ...whole, [field]: bad }), undefined, JSON.stringify(bad))
      }
    })

test('lists and positions are judged whole', () => {
  const many = Array.from({ length: MAX_COUNTED_NODES + 1 }, (_, i) => `node-${i}`)
  assert.ok(termIn({ ...TERM, counted: many.slice(1) }))
  for (const counted of [many, [''], [7], ['a b'], 'node-b', { length: 1 }])
    assert.equal(termIn({ ...TERM, counted }), undefined)
  for (const floor of [{ epoch: 1 }, { epoch: '1', txid: 1 }, 7, null, { epoch: 1, txid: -1 }])
    assert.equal(termIn({ ...TERM, floor }), undefined)
})

test('whatever JSON is there, reading it throws nothing, and gives only what is whole', () => {
  const about = fc.record(
    Object.fromEntries(Object.keys({ ...TERM, ...NOTE }).map((key) => [key, fc.jsonValue()])),
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), about), (value) => {
      const [term, note] = [termIn(value), noteIn(value)]
      if (term) assert.deepEqual(Object.keys(term).sort(), Object.keys(TERM).sort())
      if (note) assert.deepEqual(Object.keys(note).sort(), Object.keys(NOTE).sort())
    }),
  )
})
