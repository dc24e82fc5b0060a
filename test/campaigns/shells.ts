/** zsh and fish themselves, with the scripts that they are given: what they offer at a tab. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { COMMAND_NAMES } from '../../src/cli/commandTable.ts'
import { commandWords } from '../../src/cli/completion/commandWords.ts'
import { fishScript } from '../../src/cli/completion/fish.ts'
import { zshScript } from '../../src/cli/completion/zsh.ts'
import { offeredByFish, offeredByZsh } from '../support/completingShells.ts'

const COMMANDS = await commandWords()
const folder = mkdtempSync(join(tmpdir(), 'walcast-shells-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** Unfinished lines, and the words that belong there, in any order. */
const LINES: readonly (readonly [string, readonly string[]])[] = [
  ['', [...COMMAND_NAMES, 'help', 'version']],
  ['exp', ['explain']],
  ['ver', ['verify', 'version']],
  ['--', ['--help', '--version']],
  ['help swi', ['switchover']],
  ['status --', ['--help', '--json', '--node', '--db', '--watch', '--interval', '--wide']],
  ['status --j', ['--json']],
  ['status --node ', []],
  ['token ', ['create', 'list', 'revoke']],
  ['token create --role o', ['operate']],
  ['node --on-stale ', ['forward', 'serve', 'refuse']],
  ['node --on-stale=se', ['--on-stale=serve']],
  ['explain WALCAST_DB_L', ['WALCAST_DB_LOCKED']],
  ['completion ', ['bash', 'zsh', 'fish']],
  ['systemd ru', ['run']],
  ['wal /et', ['/etc']],
  ['status --db /et', ['/etc']],
  ['status --db=/et', ['--db=/etc']],
  ['diff /et', ['/etc']],
  ['restore --from /et', ['/etc']],
  // What follows is the application's.
  ['run --db a -- /et', ['/etc']],
  ['token -- cre', []],
  ['nothing ', []],
]
const TYPED = LINES.map(([line]) => `walcast ${line}`)

/** The shells write folders with or without what was typed of their path, and their slash. */
function alike(words: readonly string[]): string[] {
  return words.map((word) => word.replace(/\/?etc\/?$/, '/etc')).sort()
}

test('zsh offers commands, options, words and paths', () => {
  const offered = offeredByZsh(folder, zshScript(COMMANDS), TYPED)
  LINES.forEach(([line, words], i) => {
    assert.deepEqual(alike(offered[i] ?? []), alike(words), `walcast ${line}`)
  })
})

test('fish offers commands, options, words and paths', () => {
  const offered = offeredByFish(folder, fishScript(COMMANDS), TYPED)
  LINES.forEach(([line, words], i) => {
    assert.deepEqual(alike(offered[i] ?? []), alike(words), `walcast ${line}`)
  })
})
