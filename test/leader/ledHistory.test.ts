/**
 * What a leader says of a state that a replica claims: by its history, and by the content that is
 * on record.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Containment, Incarnation } from '../../proto/lineage.ts'
import { LedHistory } from '../../src/leader/ledHistory.ts'
import type { PositionRecord } from '../../src/sqlite/positionLog.ts'
import { checksumHex } from '../../src/xxh64.ts'

const [OLD, NOW, OTHER] = ['00000000000000a1', '00000000000000a2', '00000000000000ff']
const place = {
  salt1: 0,
  salt2: 0,
  frame: 0,
  s0: 0,
  s1: 0,
  pages: 1,
  changeCounter: 0,
  schemaCookie: 0,
}

function recordOf(incarnation: string, txid: number, checksum: bigint): PositionRecord {
  return { epoch: incarnation === NOW ? 2 : 1, incarnation, txid, checksum, ...place }
}

/** A leader at 2-30 that took over at 1-20, proven or not, and remembers some states. */
function historyOf(exact: boolean): LedHistory {
  const begun: Incarnation = {
    id: NOW,
    epoch: 2,
    after: OLD,
    afterEpoch: 1,
    txid: 20,
    leader: 'me',
    exact,
  }
  return new LedHistory(
    { node: 'me', lineage: () => [begun], term: () => 2 },
    {
      standing: () => ({ epoch: 2, incarnation: NOW, txid: 30 }),
      checksum: () => checksumHex(30n),
      records: () => [recordOf(OLD, 18, 18n), recordOf(OLD, 20, 20n), recordOf(NOW, 29, 29n)],
    },
  )
}

const claim = (incarnation: string, txid: number, checksum: bigint | undefined) => ({
  point: { incarnation, txid },
  checksum: checksum === undefined ? '' : checksumHex(checksum),
})

const CASES: readonly (readonly [string, boolean, ReturnType<typeof claim>, Containment])[] = [
  ['a position of its history, as it is on record', true, claim(OLD, 20, 20n), 'proven'],
  ['one that is not on record', true, claim(OLD, 7, 7n), 'proven'],
  ['one of which no state is claimed', true, claim(OLD, 20, undefined), 'proven'],
  ['one that is on record with another state', true, claim(OLD, 20, 99n), 'unknown'],
  [
    'one before a database that was written while no node ran',
    false,
    claim(OLD, 20, 20n),
    'likely',
  ],
  ['the same with another state', false, claim(OLD, 18, 99n), 'unknown'],
  ['one past where this history took over', true, claim(OLD, 21, 21n), 'unknown'],
  ['another history in the very state that is here', true, claim(OTHER, 55, 30n), 'proven'],
  ['another history in a state that is on record', true, claim(OTHER, 55, 29n), 'proven'],
  ['the same on record before what is not proven', false, claim(OTHER, 55, 18n), 'unknown'],
]

for (const [name, exact, state, expected] of CASES)
  test(`${name}: ${expected}`, () => {
    assert.equal(historyOf(exact).containment(state), expected)
  })
