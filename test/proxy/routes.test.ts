/** Where requests go: no spelling of an own path reaches the application's rules. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { comparablePath, isRead, isReserved, isUnderAny, Routes } from '../../src/proxy/routes.ts'

/**
 * A path as a lenient server reads it: bytes decoded, `\` as `/`, slashes merged, dot segments
 * resolved.
 */
function asServerReads(target: string): string {
  const bytes = (run: string) => Buffer.from(run.replaceAll('%', ''), 'hex').toString()
  const path = target.split(/[?#]/, 1)[0].replace(/(?:%[0-9a-f]{2})+/gi, bytes)
  return new URL(`http://host${`/${path}`.replace(/[/\\]+/g, '/')}`).pathname
}

const piece = fc.constantFrom(
  ...[
    '/',
    '/',
    '/',
    '\\',
    '.',
    '..',
    '%2e',
    '%2E%2e',
    '%2F',
    '%5c',
    '_walcast',
    '%5Fwalcast',
    '_w%61lcast',
  ],
  ...['a', 'é', '%c3%a9', '%ff', '%', '%zz', ';', '?', '#'],
)
const anyTarget = fc.array(piece, { maxLength: 10 }).map((pieces) => `/${pieces.join('')}`)

test('methods that only read', () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS']) assert.equal(isRead(method), true, method)
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'CONNECT', 'get', 'QUERY', ''])
    assert.equal(isRead(method), false, method)
})

test('paths are compared without query, decoded and resolved', () => {
  for (const [target, path] of [
    ['/', '/'],
    ['/a/b?x=/../y', '/a/b'],
    ['/a#b', '/a'],
    ['//a///b', '/a/b'],
    ['/a/./b/../c', '/a/c'],
    ['/a/b/', '/a/b/'],
    ['/a/b/..', '/a/'],
    ['/a/b/.', '/a/b/'],
    ['/a/...', '/a/...'],
    ['/a/.b', '/a/.b'],
    ['/../..', '/'],
    ['/%61%2Fb', '/a/b'],
    ['/a%5Cb\\c', '/a/b/c'],
    ['/%c3%a9', '/é'],
    ['/%zz', '/%zz'],
  ])
    assert.equal(comparablePath(target), path, target)
})

test('comparing what was compared changes nothing, and nothing is left to resolve', () => {
  fc.assert(
    fc.property(anyTarget, (target) => {
      const path = comparablePath(target)
      assert.match(path, /^\//)
      assert.doesNotMatch(path, /\/\/|\\|\/\.\.?(\/|$)/)
      if (!/[%?#]/.test(path)) assert.equal(comparablePath(path), path)
    }),
    { numRuns: 3000 },
  )
})

test('whatever a server may read as an own path is reserved', () => {
  fc.assert(
    fc.property(anyTarget, (target) => {
      const read = asServerReads(target)
      const isOurs = read === '/_walcast' || read.startsWith('/_walcast/')
      assert.equal(isReserved(target), isOurs, `${target} is read as ${read}`)
    }),
    {
      numRuns: 5000,
      examples: [['/_walcast%2Fstatus%ff'], ['/%5fwalcast/%'], ['/x/..\\_walcast']],
    },
  )
})

test('own paths and health go to the node whatever rules and method say', () => {
  const routes = new Routes({ forward: ['/_walcast', '/'], local: ['/_walcast/status'] })
  for (const method of ['GET', 'POST', 'DELETE'])
    for (const target of [
      '/_walcast',
      '/_walcast/x',
      '/%5fwalcast/x?y',
      '//_walcast',
      '/livez',
      '/readyz?x',
    ])
      assert.equal(routes.routeOf(method, target), 'own', `${method} ${target}`)
  for (const target of ['/_walcastle', '/_walcast.x', '/livez/x', '/a/_walcast'])
    assert.equal(routes.routeOf('GET', target), 'forward', target)
})

test('the longest prefix of whole segments counts, and of two equal ones forward', () => {
  const routes = new Routes({
    forward: ['/a', '/b/', '/c'],
    local: ['/a/local', '/a/local/x/..y', '/c'],
  })
  for (const [method, target, route] of [
    ['GET', '/', 'local'],
    ['POST', '/', 'forward'],
    ['GET', '/a', 'forward'],
    ['GET', '/a/x?y', 'forward'],
    ['GET', '/ab', 'local'],
    ['POST', '/a/local', 'local'],
    ['POST', '/a/local/x', 'local'],
    ['POST', '/a/localx', 'forward'],
    ['GET', '/b/x', 'forward'],
    ['GET', '/b', 'local'],
    ['GET', '/c/x', 'forward'],
    ['GET', '/a/local/../x', 'forward'],
    ['GET', '/%61/x', 'forward'],
  ])
    assert.equal(routes.routeOf(method, target), route, `${method} ${target}`)
})

test('bytes that are no text do not hide a path from the rules', () => {
  const routes = new Routes({ forward: ['/admin'], local: [] })
  assert.equal(routes.routeOf('GET', '/%61dmin/%ff'), 'forward')
  assert.equal(routes.routeOf('GET', '/x/%2e%2e/admin/%'), 'forward')
})

test('a path is under a list of prefixes', () => {
  assert.equal(isUnderAny('/a/b', []), false)
  assert.equal(isUnderAny('/a/b?x', ['/c', '/a']), true)
  assert.equal(isUnderAny('/ab', ['/a']), false)
  assert.equal(isUnderAny('/ab', ['/']), true)
})
