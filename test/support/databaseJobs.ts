/**
 * Jobs on databases in processes of Python (py/databaseJobs.py), whose SQLite is of another
 * version. A process takes one job at a time and holds no file between two jobs. All tests of a
 * test file use it: Python's start takes longer than most jobs. Jobs that run at once have a
 * process each.
 */
import { join } from 'node:path'
import { Child } from './child.ts'
import { BARE, PYTHON, PYTHON_PROGRAMS } from './paths.ts'
import { PATIENCE_MS } from './until.ts'

const idle: Child[] = []

/** Runs statements on a connection of their own, which waits `timeoutMs` for SQLite's locks. */
export async function execute(
  path: string,
  statements: readonly string[],
  timeoutMs: number,
): Promise<void> {
  await answerTo({ job: 'exec', path, statements, timeoutMs })
}

/** '' when both databases are sound and equal page by page, else the difference. */
export async function compareDatabases(a: string, b: string): Promise<string> {
  return String((await answerTo({ job: 'compare', a, b }))['difference'])
}

/** Throws with SQLite's message. A process whose job did not end takes no other job. */
async function answerTo(job: object): Promise<Readonly<Record<string, unknown>>> {
  const child = idle.pop() ?? start()
  const from = child.out.length
  child.write(JSON.stringify(job))
  const { text } = await child.line(() => true, from, PATIENCE_MS)
  idle.push(child)
  const answer: Readonly<Record<string, unknown>> = JSON.parse(text)
  if (answer['error'] !== undefined) throw new Error(String(answer['error']))
  return answer
}

/** The process of the tests may end while it runs, and ends it. */
function start(): Child {
  const program = join(PYTHON_PROGRAMS, 'databaseJobs.py')
  const child = new Child('databaseJobs.py', PYTHON, [...BARE, '-u', program])
  child.unref()
  return child
}
