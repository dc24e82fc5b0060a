/** Mistyped environment variables and names. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import {
  KNOWN_VARIABLES,
  unknownVariables,
  warnOfUnknownVariables,
} from '../../src/cli/environment.ts'
import { createLog } from '../../src/cli/log.ts'
import { logSettings } from '../../src/cli/logOptions.ts'
import { editDistance, nearestName } from '../../src/cli/nearestName.ts'
import { lastingArguments, nodeOptions } from '../../src/cli/nodeArguments.ts'
import { CATALOGUE } from '../../src/errorCatalogue.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

test('an unknown variable is named, with the one that was probably meant', () => {
  const environment = {
    WALCAST_DB: 'a.db',
    WALCAST_LISEN: '127.0.0.1:1',
    WALCAST_UPSTREAMS: 'http://127.0.0.1:2',
    WALCAST_REPALY_ON: '500',
    WALCAST_QQQQQQQQQQQQQQ: '',
    WALCAST_ROLE: 'leader',
    WALCAST_ELECTION_PASSWORD: 'of etcd',
    WALCASTLISTEN: 'is none of ours',
    PATH: '/bin',
  }
  assert.deepEqual(unknownVariables(environment), [
    { name: 'WALCAST_LISEN', nearest: 'WALCAST_LISTEN' },
    { name: 'WALCAST_UPSTREAMS', nearest: 'WALCAST_UPSTREAM' },
    { name: 'WALCAST_REPALY_ON', nearest: 'WALCAST_REPLAY_ON' },
    { name: 'WALCAST_QQQQQQQQQQQQQQ', nearest: undefined },
  ])
  const said: string[] = []
  const log = { warn: (text: string) => void said.push(text) }
  warnOfUnknownVariables(environment, log)
  warnOfUnknownVariables({ WALCAST_DB: 'a.db' }, log)
  assert.deepEqual(said, [
    'ignoring unknown environment variables: WALCAST_LISEN (did you mean WALCAST_LISTEN?), ' +
      'WALCAST_UPSTREAMS (did you mean WALCAST_UPSTREAM?), ' +
      'WALCAST_REPALY_ON (did you mean WALCAST_REPLAY_ON?), WALCAST_QQQQQQQQQQQQQQ',
  ])
  const many = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [`WALCAST_\u001b[2J${'9'.repeat(200)}${i}`, '']),
  )
  warnOfUnknownVariables(many, log)
  assert.ok(
    said[1].length < 1200 && !said[1].includes('\u001b') && said[1].includes('and 20 more'),
    said[1],
  )
})

test('variables that Kubernetes sets for a service named walcast cause no warning', () => {
  const told = {
    WALCAST_SERVICE_HOST: '10.0.0.1',
    WALCAST_SERVICE_PORT: '8470',
    WALCAST_SERVICE_PORT_NODE: '8470',
    WALCAST_PORT: 'tcp://10.0.0.1:8470',
    WALCAST_PORT_8470_TCP: 'tcp://10.0.0.1:8470',
    WALCAST_PORT_8470_TCP_ADDR: '10.0.0.1',
    WALCAST_REPLICA_SERVICE_HOST: '10.0.0.2',
    WALCAST_REPLICA_PORT_8470_TCP_PROTO: 'tcp',
  }
  assert.deepEqual(unknownVariables(told), [])
})

test('every WALCAST_ name in the repository is a known variable or an error code', () => {
  const folders = ['src', 'scripts', 'docs', 'examples', 'bench']
  const files = folders.flatMap((folder) =>
    readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' })
      .filter((name) => /(^|\/)[^.]+(\.(ts|md|py))?$/.test(name) && !name.includes('node_modules'))
      .map((name) => `${ROOT}${folder}/${name}`),
  )
  const unknown = new Set<string>()
  for (const path of [...files, `${ROOT}README.md`]) {
    let text = ''
    try {
      text = readFileSync(path, 'utf8')
    } catch {
      // A folder.
    }
    for (const [name] of text.matchAll(/\bWALCAST_[A-Z][A-Z_]*[A-Z]\b/g))
      if (!KNOWN_VARIABLES.has(name) && !Object.hasOwn(CATALOGUE, name.slice('WALCAST_'.length)))
        unknown.add(`${name} in ${path}`)
  }
  assert.deepEqual(
    [...unknown].filter((each) => !each.endsWith('src/cli/environment.ts')),
    [],
  )
})

test('the edit distance of two names', () => {
  for (const [a, b, distance] of [
    ['', '', 0],
    ['', 'abc', 3],
    ['status', 'staus', 1],
    ['status', 'satus', 1],
    ['status', 'tsatus', 1],
    ['lag', 'log', 1],
    ['kitten', 'sitting', 3],
  ] as const)
    assert.deepEqual([editDistance(a, b), editDistance(b, a)], [distance, distance], `${a} ${b}`)
  const name = fc.string({ maxLength: 12, unit: fc.constantFrom('a', 'b', 'c') })
  fc.assert(
    fc.property(name, name, fc.integer({ min: 1, max: 8 }), (a, b, limit) => {
      const distance = editDistance(a, b)
      assert.equal(distance === 0, a === b)
      assert.ok(distance <= Math.max(a.length, b.length))
      assert.equal(editDistance(a, b, limit), Math.min(limit, distance))
    }),
  )
  assert.equal(nearestName('staus', ['status', 'lag']), 'status')
  assert.equal(nearestName('x', ['status', 'lag']), undefined)
  assert.equal(nearestName('promote', []), undefined)
})

test('an unknown log level is a usage error that lists the levels', async () => {
  for (const level of ['verbose', 'INFO', 'constructor', '10'])
    await assert.rejects(createLog({ WALCAST_LOG_LEVEL: level }), {
      key: 'USAGE',
      message:
        'WALCAST_LOG_LEVEL wants one of fatal, error, warn, info, debug, trace, silent, ' +
        `not "${level}"`,
    })
  for (const level of ['', 'silent', 'debug'])
    assert.equal((await createLog({ WALCAST_LOG_LEVEL: level })).level, level || 'info')
})

test('a flag for the log beats the environment, and the environment the default', () => {
  const of = (args: string[], environment: NodeJS.ProcessEnv, isTerminal = false) => {
    const { level, isPretty } = logSettings(args, environment, isTerminal)
    return [level, isPretty]
  }
  assert.deepEqual(of([], {}), ['info', false])
  assert.deepEqual(of([], {}, true), ['info', true])
  assert.deepEqual(of([], { WALCAST_LOG_LEVEL: 'warn', WALCAST_LOG_FORMAT: 'pretty' }), [
    'warn',
    true,
  ])
  const json = ['--db', 'a', '--log-format', 'json', '--log-level=debug']
  assert.deepEqual(of(json, { WALCAST_LOG_LEVEL: 'warn' }, true), ['debug', false])
  assert.deepEqual(of(['--', '--log-level', 'debug'], {}), ['info', false])
  for (const [args, environment, message] of [
    [['--log-format', 'xml'], {}, '--log-format wants one of pretty, json, not "xml"'],
    [[], { WALCAST_LOG_FORMAT: 'x' }, 'WALCAST_LOG_FORMAT wants one of pretty, json, not "x"'],
  ] as const)
    assert.throws(() => logSettings(args, environment), { key: 'USAGE', message })
})

test('the flags of the log are those of every command that runs a node, and last in a unit', () => {
  const args = ['--db', '/a', '--log-level', 'warn']
  assert.equal(nodeOptions('leader', args, {}).db, '/a')
  assert.deepEqual(lastingArguments(args, {}), ['--db', '/a', '--log-level', 'warn'])
})
