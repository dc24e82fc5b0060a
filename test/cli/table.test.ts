/** Tables for people: they fit, and cut nothing that fits. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { cutMiddle, displayWidth, padded, wrapped } from '../../src/cli/displayWidth.ts'
import { type Cell, table } from '../../src/cli/table.ts'
import { FULL_LOOK, type Look } from '../../src/cli/terminalLook.ts'

const lookAt = (columns: number, hasColours = false): Look => ({
  ...FULL_LOOK,
  ...{ columns, textColumns: columns, isWide: false, hasColours },
})

/** What terminals show in one column, in two, and over another character. */
const TEXT = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ maxLength: 12, unit: 'grapheme' }),
  fc.stringMatching(/^([\u6f22\u5b57a-c]|\u0301){0,20}$/),
  fc.stringMatching(/^node-[0-9a-f]{12}$/),
)
const ROWS = fc
  .tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 6 }))
  .chain(([columns, rows]) =>
    fc.record({
      heading: fc.array(TEXT, { minLength: columns, maxLength: columns }),
      numbers: fc.array(fc.boolean(), { minLength: columns, maxLength: columns }),
      rows: fc.array(fc.array(TEXT, { minLength: columns, maxLength: columns }), {
        minLength: rows,
        maxLength: rows,
      }),
    }),
  )

test('no line is ever wider than the limit, with or without colours', () => {
  fc.assert(
    fc.property(ROWS, fc.integer({ min: 1, max: 120 }), ({ heading, numbers, rows }, columns) => {
      const all = heading.map((each, at) => ({ heading: each, isNumber: numbers[at] }))
      const plain = table(all, rows, lookAt(columns))
      for (const line of plain.split('\n')) assert.ok(displayWidth(line) <= columns, line)
      assert.equal(plain.split('\n').length, rows.length + 2)
      const good = rows.map((row) => row.map((text): Cell => ({ text, mood: 'good' })))
      assert.equal(stripVTControlCharacters(table(all, good, lookAt(columns, true))), plain)
    }),
  )
})

test('what fits is not cut, and a table that fits is the full one', () => {
  fc.assert(
    fc.property(ROWS, ({ heading, rows }) => {
      const full = table(heading, rows, FULL_LOOK)
      const width = Math.max(...full.split('\n').map(displayWidth))
      // The widest line may end before its last column does.
      assert.equal(table(heading, rows, lookAt(width + 2 * heading.length + 200)), full)
      for (const cell of [heading, ...rows].flat())
        assert.equal(cutMiddle(cell, displayWidth(cell)), cell)
    }),
  )
})

test('a cut text keeps both its ends', () => {
  for (const [text, width, cut] of [
    ['node-1234567890ab', 17, 'node-1234567890ab'],
    ['node-1234567890ab', 9, 'node…90ab'],
    ['node-1234567890ab', 8, 'node…0ab'],
    ['abc', 2, 'a…'],
    ['abc', 1, '…'],
    ['abc', 0, ''],
    // Half of a character of two columns is no character.
    ['漢字漢字漢字', 6, '漢…字'],
    ['e\u0301e\u0301e\u0301e\u0301', 3, 'e\u0301…e\u0301'],
    ['👩‍👩‍👧x👩‍👩‍👧y👩‍👩‍👧', 5, '👩‍👩‍👧…👩‍👩‍👧'],
  ] as const)
    assert.equal(cutMiddle(text, width), cut, `${text} in ${width}`)
  fc.assert(
    fc.property(TEXT, fc.integer({ min: 0, max: 60 }), (text, width) => {
      assert.ok(displayWidth(cutMiddle(text, width)) <= width)
      assert.ok(displayWidth(padded(text, width)) >= width)
    }),
  )
})

test('numbers stand at the right, words at the left, and lines end where their text ends', () => {
  const columns = ['node', { heading: 'lag', isNumber: true }, 'cause']
  const rows = [
    ['a', '5 ms', ''],
    ['漢字', '12.5 s', 'slow'],
  ]
  assert.equal(
    table(columns, rows, lookAt(80)),
    'node     lag  cause\na       5 ms\n漢字  12.5 s  slow\n',
  )
})

test('the widest columns give way first, and none below its least while others can', () => {
  const long = (char: string) => char.repeat(40)
  const columns = [{ heading: 'id', least: 10 }, 'place', 'state']
  const [, row] = table(columns, [['jwat6hpj5p', long('p'), 'streaming']], lookAt(40)).split('\n')
  assert.equal(row, `jwat6hpj5p  ${'p'.repeat(8)}…${'p'.repeat(8)}  streaming`)
})

test('texts of others steer no terminal', () => {
  const told = table(['a\u001b[2J'], [['x\u202ey'], ['two\nlines']], FULL_LOOK)
  assert.equal(told, 'a\ufffd[2J\nx\ufffdy\ntwo\ufffdlines\n')
})

test('lines of text break at spaces; no word is broken', () => {
  assert.deepEqual(wrapped('one two three', 7), ['one two', 'three'])
  assert.deepEqual(wrapped('a verylongword b', 4), ['a', 'verylongword', 'b'])
  assert.deepEqual(wrapped('', 5), [''])
})
