/** The tables of a position in a line of `walcast history`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tablesText } from '../../src/cli/historyTables.ts'

const tables = Array.from({ length: 10_000 }, (_, i) => [`t${i}`, 10_000 - i] as const)

test('few tables are named, and of many the first ones and the one that was asked for', () => {
  assert.equal(tablesText([], undefined), '')
  assert.equal(tablesText(tables.slice(0, 2), 'other'), 't0 10000, t1 9999')
  const first = tables.slice(0, 20).map(([name, pages]) => `${name} ${pages}`)
  assert.equal(
    tablesText(tables.slice(0, 21), undefined),
    `${first.join(', ')}, and 1 more table (--json)`,
  )
  assert.equal(
    tablesText(tables, 'T5000'),
    `${first.join(', ')}, t5000 5000, and 9979 more tables (--json)`,
  )
  assert.equal(tablesText([['a\u001b[31m', 1]], undefined).includes('\u001b'), false)
})
