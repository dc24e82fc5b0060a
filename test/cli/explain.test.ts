/** What `walcast explain` says of each code. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  errorCodeOf,
  explainedCodes,
  explanationOf,
  explanationText,
} from '../../src/cli/explain.ts'
import { CATALOGUE } from '../../src/errorCatalogue.ts'
import { keyOf } from '../../src/errors.ts'

test('a code is found however it is written', () => {
  for (const given of [
    ...['DB_LOCKED', 'WALCAST_DB_LOCKED', 'db_locked', 'walcast_Db_Locked'],
    ...['db-locked', 'WALCAST_DB_LOCKED:', ' WALCAST_DB_LOCKED '],
  ])
    assert.equal(errorCodeOf(given), 'DB_LOCKED', given)
})

test('an unknown code names the one that was probably meant, and is safe to show', () => {
  const cases = [
    ['DB_LOKED', /no error code "DB_LOKED" \(did you mean WALCAST_DB_LOCKED\?\)$/],
    ['WALCAST_WAL_BROKN', /\(did you mean WALCAST_WAL_BROKEN\?\)$/],
    ['quite something else', /^there is no error code "quite something else"$/],
    ['\u001b[2J', /^there is no error code "\[2J"$/],
    ['constructor', /^there is no error code "constructor"$/],
    ['', /^there is no error code ""$/],
  ] as const
  for (const [given, message] of cases)
    assert.throws(
      () => errorCodeOf(given),
      (error: Error) => keyOf(error) === 'USAGE' && message.test(error.message),
      given,
    )
})

test('every code of the catalogue is explained with its own text, in at most 100 columns', () => {
  const all = explainedCodes()
  assert.deepEqual(
    all.map(({ code }) => code),
    Object.keys(CATALOGUE)
      .map((key) => `WALCAST_${key}`)
      .sort(),
  )
  for (const explanation of all) {
    const text = explanationText(explanation)
    const flat = text.replace(/\s+/g, ' ')
    for (const part of [explanation.code, explanation.what, explanation.cure])
      assert.ok(flat.includes(part.replace(/\s+/g, ' ')), `${explanation.code}: ${part}`)
    assert.ok(Math.max(...text.split('\n').map((line) => line.length)) <= 100, text)
  }
})

test('the details name what messages fill in, the status and the exit code', () => {
  const text = explanationText(explanationOf('DB_LOCKED'))
  assert.match(text, /^WALCAST_DB_LOCKED\n\nWhat it means\n {2}\{path\} is locked/)
  assert.match(text, /\nWhat to do\n {2}close the program/)
  assert.match(text, /Each message fills in \{path\}, \{detail\}\./)
  assert.match(text, /with status 500/)
  assert.match(text, /The exit code is 1\./)
  assert.match(explanationText(explanationOf('USAGE')), /The exit code is 2\./)
  assert.doesNotMatch(explanationText(explanationOf('STARTING')), /fills in/)
})
