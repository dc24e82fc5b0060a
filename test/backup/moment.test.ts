/** Moments as people write them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { momentText, parseMoment, parseNamedMoment, parseTime } from '../../src/backup/moment.ts'

const NOW = Date.UTC(2026, 10, 30, 12)
const time = (atMs: number) => ({ kind: 'time', atMs })

test('times, durations, positions and txids are told apart', () => {
  for (const [text, moment] of [
    ['newest', { kind: 'newest' }],
    ['120', { kind: 'txid', txid: 120 }],
    ['3-120', { kind: 'position', epoch: 3, txid: 120 }],
    ['-6h', time(NOW - 6 * 3_600_000)],
    ['6h ago', time(NOW - 6 * 3_600_000)],
    ['-1d12h', time(NOW - 36 * 3_600_000)],
    ['1.5h ago', time(NOW - 5_400_000)],
    ['2026-11-30T05:00Z', time(Date.UTC(2026, 10, 30, 5))],
    ['2026-11-30 05:00:07.5+02:00', time(Date.UTC(2026, 10, 30, 3, 0, 7, 500))],
    ['2026-11-30 05:00:07 -0130', time(Date.UTC(2026, 10, 30, 6, 30, 7))],
    ['2026-11-30', time(new Date(2026, 10, 30).getTime())],
    ['2026-11-30T05:00', time(new Date(2026, 10, 30, 5).getTime())],
  ] as const)
    assert.deepEqual(parseMoment(text, NOW), moment, text)
})

test('what names no moment is refused', () => {
  for (const text of [
    ...['', 'yesterday', '6h', '-6', '-6x', '2026-02-30', '2026-11-30T25:00', '2026-13-01'],
    ...['2026-11-30T05:60', '2026-11-30T05:00+19:00', '1-2-3', '3-', '9'.repeat(16)],
  ])
    assert.equal(parseMoment(text, NOW), undefined, text)
})

test('a name is one that nothing else is written like, or that says so', () => {
  const named = (name: string) => ({ kind: 'named', name })
  for (const [text, moment] of [
    ['before-migration', named('before-migration')],
    [' v1.2_x ', named('v1.2_x')],
    ['point:120', named('120')],
    ['point:newest', named('newest')],
    ['point:2026-11-30', named('2026-11-30')],
    ['Newest', { kind: 'newest' }],
    ['120', { kind: 'txid', txid: 120 }],
    ['3-120', { kind: 'position', epoch: 3, txid: 120 }],
  ] as const)
    assert.deepEqual(parseNamedMoment(text, NOW), moment, text)
  for (const text of [
    ...['', '6h', '-6', '2026-02-30', '1-2-3', '3-', 'point:', 'point:.a', 'a/b', 'a b', '../a'],
    ...['a'.repeat(101), `point:${'1'.repeat(101)}`, 'point:point:a'],
  ])
    assert.equal(parseNamedMoment(text, NOW), undefined, text)
})

test('times alone are read as people write them', () => {
  for (const [text, ms] of [
    ['2026-01-01T13:02:07Z', Date.UTC(2026, 0, 1, 13, 2, 7)],
    ['2026-01-01 13:02:07.25+01:00', Date.UTC(2026, 0, 1, 12, 2, 7, 250)],
    ['2026-01-01 13:02:07,250999 Z', Date.UTC(2026, 0, 1, 13, 2, 7, 250)],
    ['2026-01-01 13:02', new Date(2026, 0, 1, 13, 2).getTime()],
    ['2026-01-01', new Date(2026, 0, 1).getTime()],
    ['-6h', NOW - 6 * 3_600_000],
    ['90 m ago', NOW - 90 * 60_000],
    ['2d ago', NOW - 2 * 86_400_000],
  ] as const)
    assert.equal(parseTime(text, NOW), ms, text)
  for (const text of [
    ...['', 'now', '2026-13-01', '2026-01-01T25:00', '6h', '1', '-6', '2026-01-01Z'],
    ...['1969-01-01', '-9999w', '3-120'],
  ])
    assert.equal(parseTime(text, NOW), undefined, text)
})

test('the text of a time is read as that time', () => {
  for (const atMs of [NOW, NOW + 1, Date.UTC(2026, 5, 1, 3, 4, 5, 6)])
    assert.deepEqual(parseMoment(momentText(atMs), NOW), time(atMs))
})
