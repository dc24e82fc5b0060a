/** Durations as Go writes them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { goDurationMs } from '../../../../src/roles/election/consul/goDuration.ts'

test('durations as Consul writes them', () => {
  for (const [text, ms] of [
    ['10s', 10_000],
    ['24h0m0s', 86_400_000],
    ['1.5s', 1500],
    ['5000ms', 5000],
    ['1m0.25s', 60_250],
    ['', undefined],
    ['10', undefined],
    ['-10s', undefined],
    ['10s and more', undefined],
    ['1e3s', undefined],
    ['9'.repeat(100), undefined],
  ] as const)
    assert.equal(goDurationMs(text), ms, text)
})

test('any hours, minutes and milliseconds', () => {
  const below = (most: number) => fc.integer({ min: 0, max: most })
  fc.assert(
    fc.property(below(99), below(59), below(59_999), (hours, minutes, ms) => {
      assert.equal(
        goDurationMs(`${hours}h${minutes}m${ms}ms`),
        hours * 3_600_000 + minutes * 60_000 + ms,
      )
    }),
  )
})

test('any text is a duration, or none', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const ms = goDurationMs(text)
      assert.ok(ms === undefined || (ms >= 0 && Number.isFinite(ms)))
    }),
  )
})
