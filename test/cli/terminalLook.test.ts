/** How wide output is, when it has colours, and how it tells times. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agoText, brokenText, coloured, lookOf, timeText } from '../../src/cli/terminalLook.ts'

const TERMINAL = { isTTY: true, columns: 120 }
const PIPE = { isTTY: false, columns: 0 }

test('a terminal gives its width; elsewhere COLUMNS does, or 80 it is; --wide cuts nothing', () => {
  for (const [output, environment, columns] of [
    [TERMINAL, {}, 120],
    [TERMINAL, { COLUMNS: '60' }, 120],
    [{ isTTY: true, columns: 0 }, {}, 80],
    [PIPE, {}, 80],
    [PIPE, { COLUMNS: '132' }, 132],
    [PIPE, { COLUMNS: '3' }, 20],
    [PIPE, { COLUMNS: 'wide' }, 80],
    [PIPE, { COLUMNS: '9999' }, 1000],
  ] as const) {
    assert.equal(lookOf(output, environment).columns, columns)
    assert.equal(lookOf(output, environment, true).columns, Number.POSITIVE_INFINITY)
  }
})

test('colours: on terminals only, and NO_COLOR beats all', () => {
  for (const [output, environment, has] of [
    [TERMINAL, {}, true],
    [TERMINAL, { NO_COLOR: '' }, true],
    [TERMINAL, { NO_COLOR: '1' }, false],
    [TERMINAL, { TERM: 'dumb' }, false],
    [TERMINAL, { FORCE_COLOR: '0' }, false],
    [PIPE, {}, false],
    [PIPE, { FORCE_COLOR: '1' }, true],
    [PIPE, { FORCE_COLOR: '1', NO_COLOR: '1' }, false],
  ] as const) {
    const look = lookOf(output, environment)
    assert.equal(look.hasColours, has, JSON.stringify(environment))
    assert.equal(coloured('away', 'bad', look), has ? '\u001b[31maway\u001b[39m' : 'away')
    assert.equal(coloured('away', undefined, look), 'away')
  }
})

test('times are relative, and whole with --wide', () => {
  const look = { ...lookOf(PIPE, {}), nowMs: Date.parse('2026-11-30T12:00:00Z') }
  for (const [iso, text] of [
    ['2026-11-30T11:59:57Z', '3 s ago'],
    ['2026-11-30T11:00:00Z', '60 min ago'],
    ['2026-11-20T12:00:00Z', '10 days ago'],
    ['2026-12-30T12:00:00Z', 'in 30 days'],
    // Clocks differ a little.
    ['2026-11-30T12:00:00.500Z', '0 s ago'],
    ['never', 'never'],
  ] as const) {
    assert.equal(timeText(iso, look), text)
    assert.equal(timeText(iso, { ...look, isWide: true }), iso)
  }
  assert.equal(agoText(-5000), 'in 5 s')
})

test('long lines break on a terminal only', () => {
  const text = 'one two three four five six seven'
  assert.equal(brokenText(text, 2, lookOf(PIPE, {})), text)
  const narrow = lookOf({ isTTY: true, columns: 24 }, {})
  assert.equal(brokenText(text, 4, narrow), 'one two three four\n    five six seven')
})
