/**
 * A test run that is killed leaves nothing behind: not its test processes, not what those started.
 */
import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { labTest } from './lab.ts'
import { PROGRAMS } from './paths.ts'
import { isRunning } from './processesIn.ts'
import type { Hanging } from './programs/hangingTest.ts'
import { until } from './until.ts'

for (const victim of ['the runner', 'the test process'] as const)
  labTest(`SIGKILL of ${victim} ends nodes, stopped ones too, and programs`, async (lab) => {
    const path = lab.path('hanging.json')
    const runner = lab.spawn(
      'runner',
      process.execPath,
      [join(PROGRAMS, 'runTests.js'), join(PROGRAMS, 'hangingTest.js')],
      { HANGING_TEST_FILE: path },
    )
    runner.expectEnd()
    const { pid, children, folder } = await until('it hangs', (): Hanging => {
      if (runner.end) assert.fail(runner.tail())
      return JSON.parse(readFileSync(path, 'utf8'))
    })
    lab.atEnd(() => rmSync(folder, { recursive: true, force: true }))
    assert.ok([pid, ...children].every(isRunning))
    if (victim === 'the runner') runner.kill('SIGKILL')
    else process.kill(pid, 'SIGKILL')
    await until('all have ended', (saw) => {
      const left = [pid, ...children].filter(isRunning)
      saw(left.join(' '))
      return left.length === 0
    })
  })
