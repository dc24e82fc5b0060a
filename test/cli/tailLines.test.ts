/** Which commits are told as which positions, and what is left out because it is not certain. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Standing, TailedPositions, tailJson, tailText } from '../../src/cli/tailLines.ts'
import type { FollowedCommit } from '../../src/sqlite/commitFollower.ts'

const at = (txid: number, walBytes: number, role = 'leader'): Standing => ({
  ...{ role, epoch: 1, txid, walBytes, pages: 9, pageSize: 4096 },
})
const commit = (walBytes: number, changed: number[], generation = 1): FollowedCommit => ({
  ...{ walBytes, changed, generation, pages: 9 },
})

function positionsAt(standing: Standing): TailedPositions {
  const positions = new TailedPositions()
  assert.deepEqual(positions.reach(standing), [])
  return positions
}

const told = (commits: ReturnType<TailedPositions['reach']>) =>
  commits.map(({ firstTxid, txid, changed }) => [firstTxid, txid, changed])

test('each commit of a leader is a position of its own', () => {
  const positions = positionsAt(at(5, 100))
  positions.add([commit(200, [1, 2]), commit(300, [3])], false)
  assert.deepEqual(told(positions.reach(at(7, 300))), [
    [6, 6, [1, 2]],
    [7, 7, [3]],
  ])
})

test('commits that the node has not captured yet wait for it', () => {
  const positions = positionsAt(at(5, 100))
  positions.add([commit(200, [1]), commit(300, [2])], false)
  assert.deepEqual(told(positions.reach(at(6, 200))), [[6, 6, [1]]])
  assert.deepEqual(told(positions.reach(at(7, 300))), [[7, 7, [2]]])
})

test('a WAL that started over was captured to its end', () => {
  const positions = positionsAt(at(5, 100))
  positions.add([commit(900, [1], 1), commit(50, [2], 2), commit(80, [3], 2)], false)
  assert.deepEqual(told(positions.reach(at(7, 50))), [
    [6, 6, [1]],
    [7, 7, [2]],
  ])
})

test('pages are left out when commits were missed, or do not agree with the positions', () => {
  for (const [isBroken, txid] of [
    [true, 6],
    [false, 7],
  ] as const) {
    const positions = positionsAt(at(5, 100))
    positions.add([commit(200, [1])], isBroken)
    assert.deepEqual(told(positions.reach(at(txid, 200))), [[6, txid, undefined]])
    positions.add([commit(300, [4])], false)
    assert.deepEqual(told(positions.reach(at(txid + 1, 300))), [[txid + 1, txid + 1, [4]]])
  }
})

test('a replica may apply several positions as one commit', () => {
  const positions = positionsAt(at(5, 100, 'replica'))
  positions.add([commit(200, [1, 2])], false)
  assert.deepEqual(told(positions.reach(at(9, 200, 'replica'))), [[6, 9, [1, 2]]])
})

test('many positions at once are one line, and a position that went back is none', () => {
  const positions = positionsAt(at(5, 0))
  positions.add(
    Array.from({ length: 60 }, (_, i) => commit(i, [i])),
    false,
  )
  const [line, more] = positions.reach(at(65, 60))
  assert.deepEqual([line.firstTxid, line.txid, line.changed?.length, more], [6, 65, 60, undefined])
  assert.deepEqual(positions.reach(at(60, 60)), [])
})

test('a line has time, position, pages, size and tables, most pages first', () => {
  const tables = new Map([
    ['users', 1],
    ['no\u001btes', 2],
  ])
  const told = {
    epoch: 1,
    firstTxid: 6,
    txid: 6,
    databasePages: 9,
    pageSize: 4096,
    changed: [1, 2, 3],
  }
  assert.match(tailText(told, tables, 0), / {7}1-6 {6}3 pages {4}12\.0 KiB {2}no.tes 2, users 1\n$/)
  assert.match(
    tailText({ ...told, txid: 8, changed: undefined }, undefined, 0),
    / {2}1-6\.\.8 .*\? pages\n$/,
  )
  assert.deepEqual(tailJson(told, tables, 0), {
    type: 'position',
    time: '1970-01-01T00:00:00.000Z',
    position: '1-6',
    ...{ epoch: 1, firstTxid: 6, txid: 6, databasePages: 9, pages: 3, bytes: 12288 },
    tables: [
      { table: 'no\u001btes', pages: 2 },
      { table: 'users', pages: 1 },
    ],
  })
  const { epoch, firstTxid, txid, ...alone } = told
  assert.match(tailText(alone, undefined, 0), / {4}commit {6}3 pages/)
  assert.deepEqual([epoch, firstTxid, txid], [1, 6, 6])
})
