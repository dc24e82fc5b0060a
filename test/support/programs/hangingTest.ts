/**
 * A test that never ends by itself. It starts a node, a stopped node and a Python program that
 * reads nothing, and writes their process ids to the file in HANGING_TEST_FILE.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { Lab } from '../lab.ts'
import { PYTHON } from '../paths.ts'
import { makeDatabase } from '../workload.ts'

export interface Hanging {
  /** Id of this process. */
  readonly pid: number
  /** Ids of the processes that it started. */
  readonly children: readonly number[]
  readonly folder: string
}

test('hangs', async () => {
  const lab = new Lab()
  const path = String(process.env['HANGING_TEST_FILE'])
  await makeDatabase(lab, lab.path('leader.db'))
  const leader = await lab.leader(lab.path('leader.db'))
  const stopped = await lab.replica(lab.path('replica.db'), leader)
  stopped.kill('SIGSTOP')
  const python = lab.spawn('python', PYTHON, [
    '-c',
    'import time; print("here", flush=True); time.sleep(3600)',
  ])
  await python.line((line) => line === 'here')
  const children = [leader, stopped, python].map(({ pid }) => pid)
  const hanging: Hanging = { pid: process.pid, children, folder: lab.folder }
  writeFileSync(`${path}.new`, JSON.stringify(hanging))
  renameSync(`${path}.new`, path)
  await new Promise((resolve) => setTimeout(resolve, 3_600_000))
})
