/** `walcast check-config` names every mistake in one look. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { configMistakes } from '../../src/cli/configMistakes.ts'

const SOUND = ['--db', 'a.db', '--listen', '127.0.0.1:1']

function fileIn(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-mistakes-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'walcast.toml')
  writeFileSync(file, text)
  return file
}

function requireParts(error: ReturnType<typeof configMistakes>, parts: readonly string[]): void {
  const text = error?.message ?? ''
  for (const part of parts) assert.equal(text.split(part).length, 2, `${part}: ${text}`)
}

test('options that are sound have no mistake', () => {
  assert.equal(configMistakes(SOUND, {}), undefined)
  assert.equal(configMistakes([...SOUND, '--', 'app'], {}), undefined)
})

test('flags, values, their order, log, secret and variables are told at once, each once', () => {
  const flags = ['--dbb', 'a.db', '--drain', '5', '--soft-wal=900', 'stray', '--name']
  const environment = {
    WALCAST_LOG_LEVEL: 'loud',
    WALCAST_LOG_FORMAT: 'xml',
    WALCAST_SECRET: 'short',
    WALCAST_DRIAN: '1s',
  }
  const error = configMistakes(flags, environment)
  assert.equal(error?.key, 'USAGE')
  requireParts(error, [
    "unknown option '--dbb' (did you mean --db?)",
    '--drain wants a time',
    "unexpected argument 'stray'",
    '--name wants a value',
    '--db FILE is required',
    '--soft-wal 900 is above --hard-wal 850',
    'WALCAST_LOG_LEVEL wants one of',
    'WALCAST_LOG_FORMAT wants one of',
    'it has only 5 characters',
    'WALCAST_DRIAN (did you mean WALCAST_DRAIN?)',
  ])
})

test('a file that is no TOML hides neither wrong flags nor wrong variables', (t) => {
  const file = fileIn(t, 'drain = \n')
  const args = ['--config', file, '--max-waits', 'many', '--soft-wal', '900']
  const error = configMistakes(args, { WALCAST_READ_WAIT: 'long' })
  assert.equal(error?.key, 'CONFIG_BAD')
  requireParts(error, [
    file,
    'Invalid TOML document',
    '--max-waits wants a whole number',
    '--read-wait wants a time',
  ])
  // The file may have the database, and another --hard-wal.
  assert.doesNotMatch(error?.message ?? '', /required|above/)
})

test('a mistake in the options of walcast run hides none of its node', () => {
  const args = [...SOUND, '--restart', 'sometimes', '--drain', '5', '--', 'app']
  const error = configMistakes(args, {})
  assert.equal(error?.key, 'USAGE')
  requireParts(error, ['--restart wants', '--drain wants a time'])
  // What goes with an upstream goes with --ports.
  const ports = [...SOUND, '--ports', '3000', '--proxy', '127.0.0.1:3', '--', 'app']
  assert.equal(configMistakes(ports, {}), undefined)
  const twice = [...SOUND, '--ports', '3000', '--upstream', 'http://127.0.0.1:3001', '--', 'app']
  assert.match(configMistakes(twice, {})?.message ?? '', /--upstream and --ports exclude each/)
})

test('a flag that swallows the next one hides nothing behind it', () => {
  const error = configMistakes(['--name', '--db', 'a.db', '--drain', '5', '-x', '--tls=yes'], {})
  requireParts(error, ['--name wants a value', "unknown option '-x'", '--drain wants a time'])
  assert.doesNotMatch(error?.message ?? '', /required/)
})

test('a single mistake of another kind keeps its code', () => {
  const leader = configMistakes([...SOUND, '--leader', '127.0.0.1:1'], {})
  assert.equal(leader?.key, 'SELF_LEADER')
  assert.equal(configMistakes(SOUND, { WALCAST_SECRET: 'short' })?.key, 'SECRET_UNREADABLE')
})
