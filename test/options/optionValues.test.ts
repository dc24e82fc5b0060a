/** Values of options: the parser takes what can be used later and refuses the rest. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { embeddedOptions } from '../../src/embed/embeddedOptions.ts'
import type { OptionKind } from '../../src/options/optionSpec.ts'
import { parseValue } from '../../src/options/optionValues.ts'
import { comparablePath } from '../../src/proxy/routes.ts'

const parse = (kind: OptionKind, text: string) => parseValue('flag', kind, text)

function refuses(kind: OptionKind, texts: readonly string[]): void {
  for (const text of texts)
    assert.throws(() => parse(kind, text), { key: 'USAGE' }, `${kind}: ${text}`)
}

test('an address is one that a request can go to', () => {
  for (const address of ['10.0.0.1:8470', 'node-a.example:80', '[::1]:65535', 'localhost:0'])
    assert.equal(parse('address', address), address)
  assert.deepEqual(parse('addresses', 'a:1, [fe80::1]:2'), ['a:1', '[fe80::1]:2'])
  refuses('address', [
    '',
    'a',
    ':1',
    'a:',
    'a:65536',
    'a:x',
    '::1:80',
    '[::1]',
    '[x]:1',
    'a b:1',
    '10.0.0.999:1',
  ])
  refuses('address', ['http://a:1', 'user@a:1', 'a/b:1', 'a?b:1', 'a#b:1', 'a:1/', 'a:1\n'])
})

test('a node is not called like the command line, which signs without a key', () => {
  for (const name of ['client', 'cli-1', 'CLI', 'node.a']) assert.equal(parse('text', name), name)
  refuses('text', ['cli', '', 'a b', 'a\n', 'x'.repeat(129)])
})

test('a URL names a web server and holds no secret', () => {
  for (const url of ['http://127.0.0.1:3000', 'https://shop.example/base', 'http://[::1]:1/'])
    assert.equal(parse('url', url), url)
  refuses('url', [
    '',
    'shop',
    '127.0.0.1:3000',
    'ftp://x',
    'http://',
    'http://a:b@c',
    'http://a?x',
    'http://a#x',
  ])
})

test('an origin has no path and one spelling', () => {
  assert.equal(parse('origin', 'http://127.0.0.1:3000/'), 'http://127.0.0.1:3000')
  assert.equal(parse('origin', 'HTTP://Shop.Example:80'), 'http://shop.example')
  refuses('origin', ['http://a/b', 'http://a?x', 'unix:/x', 'a:1'])
})

test('statuses are failures', () => {
  assert.deepEqual(parse('statuses', '500, 400,500'), [500, 400])
  assert.deepEqual(parse('statuses', 'none'), [])
  refuses('statuses', ['', '200', '600', '5xx', '500;400', '500,', 'None', '0500'])
  assert.deepEqual(embeddedOptions('replica', { replayOn: [503], replayRate: 0 }), {
    replayOn: [503],
    replayRate: 0,
  })
  assert.deepEqual(embeddedOptions('replica', { replayOn: [] }), { replayOn: [] })
  for (const replayOn of [[200], '500', ['x']])
    assert.throws(() => embeddedOptions('replica', { replayOn }), { key: 'USAGE' })
})

test('prefixes are whole segments, compared with a path as they stand', () => {
  assert.deepEqual(parse('prefixes', ''), [])
  assert.deepEqual(parse('prefixes', '/admin, /upload,/a/b'), ['/admin', '/upload', '/a/b'])
  assert.deepEqual(parse('prefixes', '/,/.well-known'), ['/', '/.well-known'])
  refuses('prefixes', [
    'admin',
    '/a,b',
    '/a//b',
    '//a',
    '/a/../b',
    '/./a',
    '/a/..',
    '/a?x',
    '/a#x',
    '/%61',
    '/a\\b',
  ])
  refuses('prefixes', ['/a b', ' ', '/upload/'])
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('/', '.', 'a', '%', '\\', '?', 'é', '~') }),
      (rest) => {
        const text = `/${rest}`
        try {
          assert.deepEqual(parse('prefixes', text), [text])
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error
          return
        }
        assert.equal(comparablePath(text), text, 'no path would ever be under it')
      },
    ),
    { numRuns: 3000 },
  )
})

test('the name of a cookie is a token', () => {
  for (const name of ['walcast_position', '__Host-p', 'a!#$%&*+.^`|~-'])
    assert.equal(parse('cookie', name), name)
  refuses('cookie', ['', 'a b', 'a=b', 'a;b', 'a,b', '"a"', 'é', 'x'.repeat(65)])
})

test('a stale read has one of three outcomes', () => {
  for (const how of ['forward', 'serve', 'refuse']) assert.equal(parse('onStale', how), how)
  refuses('onStale', ['', 'Forward', 'toString', 'forward '])
})

test('a mode is octal and lets the node itself read and write', () => {
  for (const [text, mode] of [
    ['0640', 0o640],
    ['640', 0o640],
    ['0600', 0o600],
    ['666', 0o666],
  ] as const)
    assert.equal(parse('fileMode', text), mode)
  assert.deepEqual(embeddedOptions('replica', { copyMode: 0o640 }), { copyMode: 0o640 })
  for (const copyMode of [0o750, 640, '0640', -1])
    assert.throws(() => embeddedOptions('replica', { copyMode }), { key: 'USAGE' })
  refuses('fileMode', [
    '',
    '0',
    '0400',
    '0755',
    '06400',
    '00640',
    '642',
    '416',
    '0o640',
    '-640',
    ' 640',
    'u=rw',
  ])
})

test('sizes and times have units', () => {
  for (const [text, bytes] of [
    ['0', 0],
    ['1MiB', 1_048_576],
    ['1.5KB', 1500],
    ['2 gib', 2_147_483_648],
  ] as const)
    assert.equal(parse('bytes', text), bytes)
  refuses('bytes', ['', '-1', '1XB', 'MiB', '1e3'])
  assert.equal(parse('duration', '1.5s'), 1500)
  assert.equal(parse('duration', '24h'), 86_400_000)
  refuses('duration', ['', '5', '0ms', '25h', '1d', '-1s'])
})
