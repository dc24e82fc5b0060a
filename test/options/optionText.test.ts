/** Options as texts: they read back as they were, and nothing secret is in them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { defaultOptions } from '../../src/options/defaults.ts'
import type { NodeOptions } from '../../src/options/nodeOptions.ts'
import { NODE_OPTIONS } from '../../src/options/options.ts'
import { optionText } from '../../src/options/optionText.ts'
import { MAX_DURATION_MS, parseValue } from '../../src/options/optionValues.ts'
import { shownOptions } from '../../src/options/shownOptions.ts'

test('every default reads back as the same value', () => {
  const options = defaultOptions()
  for (const { key, flag, kind, default: text } of NODE_OPTIONS) {
    if (text === undefined || text === '') continue
    const shown = optionText(kind, options[key])
    assert.ok(shown !== undefined, flag)
    assert.deepEqual(parseValue(flag, kind, shown), options[key], flag)
  }
})

test('sizes, times and modes read back as the same value', () => {
  const backAgain = (kind: 'bytes' | 'duration' | 'number', value: number) =>
    assert.equal(parseValue('x', kind, optionText(kind, value) ?? ''), value)
  fc.assert(
    fc.property(fc.nat(2 ** 40), fc.integer({ min: 1, max: MAX_DURATION_MS }), (bytes, ms) => {
      backAgain('bytes', bytes)
      backAgain('duration', ms)
      backAgain('number', bytes)
    }),
  )
  assert.deepEqual(
    [optionText('bytes', 4 * 2 ** 20), optionText('bytes', 1000), optionText('duration', 90_000)],
    ['4MiB', '1000', '90s'],
  )
  assert.equal(optionText('fileMode', 0o640), '0640')
  assert.equal(optionText('duration', 1.5), '1.5ms')
  assert.equal(optionText('prefixes', ['/a', '/b']), '/a,/b')
  assert.equal(optionText('prefixes', []), undefined)
  assert.equal(optionText('statuses', []), 'none')
})

test('what may hold a secret is cut off', () => {
  for (const [kind, value, shown] of [
    ['webhook', 'https://hooks.example/services/T0/S3CRET', 'https://hooks.example/…'],
    ['webhook', 'https://hooks.example:8443/?token=S3CRET', 'https://hooks.example:8443/…'],
    ['command', '/usr/bin/notify --key S3CRET', '/usr/bin/notify …'],
    ['command', 'KEY=S3CRET /usr/bin/notify', '…'],
    ['command', '/usr/bin/notify', '/usr/bin/notify'],
    ['target', '/health?key=S3CRET', '/health?…'],
    ['target', '/health', '/health'],
    ['places', ['/srv/a?b', 's3://id:S3CRET@bucket/x'], '/srv/a?b,s3://…@bucket/x'],
    ['place', 's3://bucket/x?endpoint=http://u:S3CRET@h', 's3://bucket/x?…'],
  ] as const)
    assert.equal(optionText(kind, value), shown)
})

test('an option says its group, its default and whether it differs', () => {
  const options = { ...defaultOptions(), db: '/srv/app.db', readWaitMs: 7000 } as NodeOptions
  const origins = new Map([['read-wait', { from: 'file', detail: 'a.toml:3' } as const]])
  const shown = shownOptions(options, origins)
  assert.equal(shown.length, NODE_OPTIONS.length)
  const of = (name: string) => shown.find((each) => each.name === name)
  const { value, group, isChanged, origin, default: fallback } = of('--read-wait') ?? {}
  assert.deepEqual([value, group, isChanged, fallback], ['7s', 'Requests', true, '1s'])
  assert.deepEqual(origin, { from: 'file', detail: 'a.toml:3' })
  assert.deepEqual([of('--listen')?.isChanged, of('--listen')?.origin.from], [false, 'default'])
  assert.deepEqual([of('--tls')?.value, of('--health')?.value], ['off', null])
  // A program that embeds a node gives values alone.
  const embedded = shownOptions(options, undefined)
  assert.equal(embedded.find(({ name }) => name === '--read-wait')?.origin.from, 'program')
  assert.equal(embedded.find(({ name }) => name === '--listen')?.origin.from, 'default')
})
