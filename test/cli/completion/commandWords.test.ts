/**
 * The words that shells complete are those that the commands take: compared with their help, and in
 * the scripts of all three shells.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { COMMAND_NAMES } from '../../../src/cli/commandTable.ts'
import { bashScript } from '../../../src/cli/completion/bash.ts'
import { commandWords, type Takes } from '../../../src/cli/completion/commandWords.ts'
import { fishScript } from '../../../src/cli/completion/fish.ts'
import { zshScript } from '../../../src/cli/completion/zsh.ts'
import { NODE_OPTIONS } from '../../../src/options/options.ts'

const COMMANDS = await commandWords()
const SCRIPTS = {
  bash: bashScript(COMMANDS),
  zsh: zshScript(COMMANDS),
  fish: fishScript(COMMANDS),
} as const

const takes = (command: string, flag: string): Takes | undefined =>
  COMMANDS.find(({ name }) => name === command)?.options.find((option) => option.flag === flag)
    ?.takes

/** What bash offers for a command line whose last word is not finished. */
function offered(...words: string[]): string[] {
  const line = ['walcast', ...words]
  const { stdout, stderr } = spawnSync(
    'bash',
    [
      '--norc',
      '-c',
      `${SCRIPTS.bash}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _walcast
      printf '%s\\n' "\${COMPREPLY[@]}"`,
      'bash',
      ...line,
    ],
    { encoding: 'utf8', cwd: '/' },
  )
  assert.equal(stderr, '')
  return stdout.split('\n').filter((word) => word !== '')
}

test('every command has words, and every node option is one of them', () => {
  assert.deepEqual(
    COMMANDS.map(({ name }) => name),
    COMMAND_NAMES,
  )
  for (const { flag, kind } of NODE_OPTIONS)
    assert.equal(takes('node', flag) === 'nothing', kind === 'flag', flag)
  assert.equal(takes('leader', 'leader'), undefined)
  assert.equal(takes('replica', 'leader'), 'text')
})

test('values are paths, words or free', () => {
  for (const [command, flag, wanted] of [
    ['node', 'db', 'path'],
    ['node', 'backup', 'path'],
    ['node', 'on-stale', ['forward', 'serve', 'refuse']],
    ['run', 'restart', ['never', 'on-failure', 'always']],
    ['token', 'role', ['metrics', 'read', 'operate', 'admin']],
    ['restore', 'from', 'path'],
    ['restore', 'to', 'path'],
    ['diff', 'from', 'text'],
    ['diff', 'archive', 'path'],
    ['switchover', 'to', 'text'],
    ['status', 'json', 'nothing'],
  ] as const)
    assert.deepEqual(takes(command, flag), wanted, `${command} --${flag}`)
})

test('bash completes commands, options, words and paths', () => {
  assert.deepEqual(offered('exp'), ['explain'])
  assert.deepEqual(offered('ver'), ['verify', 'version'])
  assert.deepEqual(offered('help', 'swi'), ['switchover'])
  assert.deepEqual(offered('status', '--'), ['--help', '--json', '--node', '--db'])
  assert.deepEqual(offered('token', ''), ['create', 'list', 'revoke'])
  assert.deepEqual(offered('token', 'create', '--role', 'o'), ['operate'])
  assert.deepEqual(offered('node', '--on-stale', '=', 'se'), ['serve'])
  assert.deepEqual(offered('node', '--on-stale', '='), ['forward', 'serve', 'refuse'])
  assert.deepEqual(offered('explain', 'WALCAST_DB_L'), ['WALCAST_DB_LOCKED'])
  assert.deepEqual(offered('completion', ''), ['bash', 'zsh', 'fish'])
  assert.deepEqual(offered('wal', '/et'), ['/etc'])
  assert.deepEqual(offered('status', '--db', '/et'), ['/etc'])
  assert.deepEqual(offered('status', '--node', ''), [])
  assert.deepEqual(offered('run', '--db', 'a', '--', '/et'), ['/etc'])
  assert.deepEqual(offered('nothing', ''), [])
})

test('every command, option and word is in the script of each shell', () => {
  for (const { name, options, argument } of COMMANDS) {
    const fish = SCRIPTS.fish
      .split('\n')
      .filter((line) => line.includes(`'__walcast_command ${name}'`))
    const branch = (script: string) => new RegExp(`^ {4}${name}\\)\\n(.*)$`, 'm').exec(script)?.[1]
    for (const [shell, script] of [
      ['bash', SCRIPTS.bash],
      ['zsh', SCRIPTS.zsh],
    ] as const) {
      const words = (branch(script) ?? '').match(/--[a-z-]+/g)
      const wanted = options.map(({ flag }) => `--${flag}`)
      assert.deepEqual(words, wanted, `${shell} ${name}`)
    }
    for (const { flag, takes: what } of options) {
      const lines = fish.filter((line) => new RegExp(` -l ${flag}( |$)`).test(line))
      assert.equal(lines.length, 1, `fish ${name} --${flag}`)
      if (typeof what !== 'string')
        assert.match(lines[0], new RegExp(` -x -a '${what.join(' ')}'$`))
    }
    if (typeof argument !== 'string')
      for (const script of Object.values(SCRIPTS))
        assert.ok(script.includes(argument.join(' ')), name)
  }
})

test('no quotation of a script is left open', () => {
  const bash = spawnSync('bash', ['-n'], { input: SCRIPTS.bash, encoding: 'utf8' })
  assert.deepEqual([bash.status, bash.stderr], [0, ''])
  for (const [shell, quote] of [
    ['zsh', "'\\''"],
    ['fish', "\\'"],
  ] as const)
    for (const line of SCRIPTS[shell].split('\n')) {
      if (line.startsWith('#')) continue
      const quotes = line.replaceAll(quote, '').match(/'/g) ?? []
      assert.equal(quotes.length % 2, 0, `${shell}: ${line}`)
    }
})
