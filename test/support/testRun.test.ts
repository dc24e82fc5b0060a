/** The program that runs all tests, over files whose results are known. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { labTest } from './lab.ts'
import { PROGRAMS } from './paths.ts'

const FILES = {
  passes: `test('passes', () => {}); test('to do', { todo: true }, () => { throw new Error() })`,
  fails: `describe('a suite', () => test('fails', () => { throw new Error('the reason') }))`,
  ends: 'process.exit(3)',
}

labTest('a run fails with one of its tests, and tells failures and one total', async (lab) => {
  const paths = Object.entries(FILES).map(([name, body]) => {
    const path = lab.path(`${name}.test.mjs`)
    writeFileSync(path, `import { describe, test } from 'node:test'\n${body}\n`)
    return path
  })
  const runs = [paths.slice(0, 1), paths.slice(0, 2), paths].map(async (files) => {
    const run = lab.spawn('run', process.execPath, [`${PROGRAMS}/runTests.js`, ...files])
    const { code } = await run.ended
    return { code, text: run.out.join('\n') }
  })
  const [passed, failed, all] = await Promise.all(runs)
  assert.equal(passed?.code, 0, passed?.text)
  assert.deepEqual([failed?.code, all?.code], [1, 1])
  for (const count of ['tests 4', 'suites 1', 'pass 1', 'fail 2', 'todo 1'])
    assert.equal(all?.text.split(`ℹ ${count}\n`).length, 2, `${count}\n${all?.text}`)
  const [, failures = ''] = all?.text.split('failing tests:') ?? []
  assert.match(failures, /ends\.test\.mjs/)
  assert.match(failures, /the reason/)
})
