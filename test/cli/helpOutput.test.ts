/** Help is written for 100 columns, and fits narrower terminals. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { displayWidth } from '../../src/cli/displayWidth.ts'
import { fittedHelp } from '../../src/cli/helpOutput.ts'
import { CLI } from '../support/paths.ts'

const words = (text: string) => text.split(/\s+/)

test('paragraphs and texts of options are broken anew; lines that fit stay as they are', () => {
  const text = `walcast look [NODE] [--json] [--one-more VALUE]
walcast look --all

Shows what there is to see, and says what it is. Then it
ends.

  --json         print everything as one JSON object
  --long VALUE   a text that is longer than there is room in
                 a narrow terminal
  --a-long-one VALUE  begins further right than
                 all others

  bash    source <(walcast completion)      here
`
  assert.equal(fittedHelp(text, 100), text)
  assert.equal(
    fittedHelp(text, 40),
    `walcast look [NODE] [--json] [--one-more
VALUE]
walcast look --all

Shows what there is to see, and says
what it is. Then it ends.

  --json         print everything as one
                 JSON object
  --long VALUE   a text that is longer
                 than there is room in a
                 narrow terminal
  --a-long-one VALUE  begins further
                 right than all others

  bash    source <(walcast completion)
          here
`,
  )
})

test('no word is lost or cut, and no line is longer than its words and the terminal allow', () => {
  const line = fc.oneof(
    fc.stringMatching(/^( {0,20}|walcast )[a-z]{1,12}( {1,4}[a-z-]{1,12}){0,12}$/),
    fc.constant(''),
  )
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 12 }),
      fc.integer({ min: 20, max: 120 }),
      (all, columns) => {
        const text = all.join('\n')
        assert.deepEqual(words(fittedHelp(text, columns)), words(text))
      },
    ),
  )
})

test('the help of real commands fits 80 columns', () => {
  for (const args of [
    ['node', '--help', '--all'],
    ['restore', '--help'],
    ['diff', '--help'],
    ['help'],
  ]) {
    const { stdout } = spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8' })
    const fitted = fittedHelp(stdout, 80)
    assert.deepEqual(words(fitted), words(stdout))
    for (const line of fitted.split('\n')) assert.ok(displayWidth(line) <= 80, line)
    assert.equal(fittedHelp(stdout, 100), stdout)
  }
})
