/** Values of the past in a table and in a CSV file. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cellOf, csvOf } from '../../../src/console/page/pastValues.ts'

test('a cell tells NULL from a text, a blob from its digits, and cuts what is long', () => {
  assert.deepEqual(cellOf(null), { text: 'NULL', kind: 'null' })
  assert.deepEqual(cellOf('NULL'), { text: 'NULL', kind: 'text' })
  assert.deepEqual(cellOf(''), { text: '', kind: 'text' })
  assert.deepEqual(cellOf(1.5), { text: '1.5', kind: 'number' })
  assert.deepEqual(cellOf({ integer: '9007199254740993' }), {
    text: '9007199254740993',
    kind: 'number',
  })
  assert.deepEqual(cellOf({ blob: '00ff' }), { text: "x'00ff'", kind: 'blob' })
  const { text, more } = cellOf('x'.repeat(2000))
  assert.deepEqual([text.length, text.at(-1), more], [121, '…', 'x'.repeat(2000)])
  // A value may have megabytes, and each cell of a table its own.
  assert.equal(cellOf('x'.repeat(2_000_000)).more, `${'x'.repeat(2000)}…`)
})

test('a CSV file is that of walcast at --csv', () => {
  const rows = [
    [null, '', 'a,b', 'say "no"', 'two\nlines'],
    [1, { real: '1.0' }, { blob: '00ff' }, '=1+1', 'plain'],
  ]
  const lines = [
    'n,"a ""b""",c,d,e',
    ',"","a,b","say ""no""","two\nlines"',
    '1,1.0,00ff,=1+1,plain',
  ]
  assert.equal(
    csvOf({ columns: ['n', 'a "b"', 'c', 'd', 'e'], rows }),
    lines.map((line) => `${line}\r\n`).join(''),
  )
})
