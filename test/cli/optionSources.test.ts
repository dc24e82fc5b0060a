/** Where each option comes from: flag, environment, file, default; and which of them wins. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { logSettings, shownLogOptions } from '../../src/cli/logOptions.ts'
import { givenOptions } from '../../src/cli/nodeArguments.ts'
import { shownRun } from '../../src/cli/printConfig.ts'
import { runArguments } from '../../src/cli/runArguments.ts'
import { shownSecrets } from '../../src/cli/shownSecrets.ts'
import { originText } from '../../src/options/optionOrigin.ts'

const DB = ['--db', 'a.db']

function fileIn(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-sources-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'walcast.toml')
  writeFileSync(path, text)
  return path
}

function originOf(flag: string, args: readonly string[], environment: NodeJS.ProcessEnv): string {
  const { origins } = givenOptions('node', [...DB, ...args], environment)
  const origin = origins.get(flag)
  return origin ? originText(origin) : 'default'
}

test('a flag beats the environment, the environment the file, the file the default', (t) => {
  const file = fileIn(t, '# of this host\n\ndrain = "3s"\n"read-wait" = "2s"\nstandby = true\n')
  const config = ['--config', file]
  const environment = { WALCAST_DRAIN: '4s' }
  assert.equal(originOf('drain', [...config, '--drain', '5s'], environment), 'flag --drain')
  assert.equal(originOf('drain', config, environment), 'environment WALCAST_DRAIN')
  assert.equal(originOf('drain', config, {}), `file ${file}:3`)
  assert.equal(originOf('drain', [], {}), 'default')
  assert.equal(originOf('read-wait', [], { WALCAST_CONFIG: file }), `file ${file}:4`)
  assert.equal(originOf('standby', config, {}), `file ${file}:5`)
  const { options } = givenOptions('node', [...DB, ...config], environment)
  assert.deepEqual([options.drainMs, options.readWaitMs, options.standby], [4000, 2000, true])
  // An empty variable is not set: it does not hide the file.
  assert.equal(originOf('drain', config, { WALCAST_DRAIN: '' }), `file ${file}:3`)
})

test('no line is told when a text of the file looks like the key', (t) => {
  const file = fileIn(t, 'drill-check = """\ndrain = 1\n"""\ndrain = "3s"\n')
  assert.equal(originOf('drain', ['--config', file], {}), `file ${file}`)
})

test('a mistyped key is told with the right one, together with all other mistakes', (t) => {
  const file = fileIn(t, 'reed-wait = "2s"\nqqqqqqqqqq = 1\nmax-waits = "many"\nsoft-wal = 900\n')
  const read = () => givenOptions('node', ['--config', file, '--drain', '5'], {})
  assert.throws(read, (error: Error & { code?: string }) => {
    assert.equal(error.code, 'WALCAST_CONFIG_BAD')
    for (const part of [
      'unknown keys: reed-wait (did you mean read-wait?), qqqqqqqqqq',
      '--max-waits wants a whole number, not "many"',
      '--drain wants a time',
      '--db FILE is required',
      '--soft-wal 900 is above --hard-wal 850',
    ])
      assert.ok(error.message.includes(part), error.message)
    return true
  })
})

test('the log has keys in the file', (t) => {
  const file = fileIn(t, 'db = "a.db"\nlog-level = "warn"\nlog-format = "pretty"\n')
  const config = ['--config', file]
  assert.deepEqual(logSettings(config, {}, false), { level: 'warn', isPretty: true })
  assert.deepEqual(logSettings([...config, '--log-level', 'debug'], {}, false).level, 'debug')
  assert.equal(logSettings(config, { WALCAST_LOG_FORMAT: 'json' }, true).isPretty, false)
  assert.equal(givenOptions('node', config, {}).options.db, 'a.db')
  const [level, format] = shownLogOptions([...config, '--log-format=json'], {}, true)
  assert.deepEqual([level.value, originText(level.origin)], ['warn', `file ${file}:2`])
  assert.deepEqual([format.value, originText(format.origin)], ['json', 'flag --log-format'])
  const wrong = fileIn(t, 'log-level = "loud"\n')
  assert.throws(() => logSettings(['--config', wrong], {}), {
    key: 'USAGE',
    message:
      `log-level in ${wrong}:1 wants one of fatal, error, warn, info, debug, trace, silent, ` +
      'not "loud"',
  })
})

test('the options of walcast run say theirs, and --upstream follows from --ports', () => {
  const args = [...DB, '--ports', '3000,3001', '--', 'app', '--restart', 'always']
  const environment = { WALCAST_RESTART: 'on-failure' }
  const { shown } = shownRun(runArguments(args, environment), args, environment)
  const row = (name: string) => {
    const { value, origin } = shown.others.find((each) => each.name === name) ?? {}
    return [value, origin && originText(origin)]
  }
  assert.deepEqual(row('--ports'), ['3000,3001', 'flag --ports'])
  assert.deepEqual(row('--restart'), ['on-failure', 'environment WALCAST_RESTART'])
  assert.deepEqual(row('--role-change'), ['restart', 'default'])
  assert.deepEqual(shown.origins.get('upstream'), { from: 'derived', detail: '--ports' })
})

test('a secret says that it is set and where, never what it is', () => {
  const secret = 'S3CRET of sixteen characters'
  const environment = {
    WALCAST_SECRET: secret,
    AWS_ACCESS_KEY_ID: secret,
    AWS_SECRET_ACCESS_KEY: secret,
  }
  const rows = shownSecrets(environment)
  assert.ok(!JSON.stringify(rows).includes('S3CRET'))
  assert.deepEqual(
    rows.map(({ name, value, origin }) => [name, value, origin.from]),
    [
      ['WALCAST_SECRET', 'set', 'environment'],
      ['AWS_ACCESS_KEY_ID', 'set', 'environment'],
      ['AWS_SECRET_ACCESS_KEY', 'set', 'environment'],
    ],
  )
  const [inFile] = shownSecrets({ WALCAST_SECRET_FILE: '/run/secret' })
  assert.deepEqual([inFile.value, originText(inFile.origin)], ['set', 'file /run/secret'])
  assert.deepEqual(
    shownSecrets({}).map(({ value }) => value),
    [null],
  )
})
