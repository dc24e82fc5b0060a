/**
 * One run of many test files, each in a process of its own, by Node's test runner. Node itself
 * starts a fixed number at once; this starts them as startGate.ts allows. The report of a file is
 * passed on whole once the file ends. One total of all files comes last.
 */
import { availableParallelism } from 'node:os'
import { run } from 'node:test'
import type { TestEvent } from 'node:test/reporters'
import { idleCores, mayStart } from './startGate.ts'

export interface TestRun {
  readonly files: readonly string[]
  /** Whether the file fails when it gets too little processor time. */
  readonly isStrict: (file: string) => boolean
  readonly report: (event: TestEvent) => void
}

const LOOK_MS = 1000
/** A line of the total that Node's test runner ends each run with. */
const COUNT = /^(tests|suites|pass|fail|cancelled|skipped|todo) (\d+)$/
const DURATION = /^duration_ms /

/** Runs the files in this order. Whether all of their tests passed. */
export async function runTests({ files, isStrict, report }: TestRun): Promise<boolean> {
  const beganMs = performance.now()
  const total = new Map<string, number>()
  const running = new Map<string, Promise<void>>()
  let haveAllPassed = true

  const runFile = async (file: string) => {
    const events = await eventsOf(file)
    for (const event of events) {
      if (event.type === 'test:fail' && isFailure(event.data.todo)) haveAllPassed = false
      if (!addCount(total, event)) report(event)
    }
    running.delete(file)
  }

  for (const file of files) {
    await turnOf(file, running, isStrict)
    running.set(file, runFile(file))
  }
  await Promise.all(running.values())
  total.set('duration_ms', performance.now() - beganMs)
  for (const [name, count] of total) report(told(`${name} ${count}`))
  return haveAllPassed
}

/** Resolves when the file may start. */
async function turnOf(
  file: string,
  running: ReadonlyMap<string, Promise<void>>,
  isStrict: (file: string) => boolean,
): Promise<void> {
  for (let idle = 0; ; ) {
    const load = {
      running: running.size,
      isStrict: [file, ...running.keys()].some(isStrict),
      idleCores: idle,
    }
    if (mayStart(load, availableParallelism())) return
    const oneEnds = Promise.race(running.values()).then(() => 0)
    idle = await Promise.race([oneEnds, idleCores(LOOK_MS)])
  }
}

async function eventsOf(file: string): Promise<TestEvent[]> {
  const events: TestEvent[] = []
  for await (const event of run({ files: [file] })) events.push(event)
  return events
}

/** A test that is still to do may fail. */
function isFailure(todo: string | boolean | undefined): boolean {
  return todo === undefined || todo === false
}

/** Adds a line of a file's total to the total of all. Whether the event is such a line. */
function addCount(total: Map<string, number>, { type, data }: TestEvent): boolean {
  if (type !== 'test:diagnostic' || data.nesting !== 0 || data.file !== undefined) return false
  const [, name = '', count = ''] = COUNT.exec(data.message) ?? []
  if (name !== '') total.set(name, (total.get(name) ?? 0) + Number(count))
  return name !== '' || DURATION.test(data.message)
}

function told(message: string): TestEvent {
  return { type: 'test:diagnostic', data: { message, nesting: 0 } }
}
