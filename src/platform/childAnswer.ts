/** The other side of `askProgram`: the program that is asked. */
import { constants, setPriority } from 'node:os'
import { createInterface } from 'node:readline'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { asWalcastError, messageOf } from '../errors.ts'
import { type Program, programPath } from '../programs.ts'
import { NEWS } from './childProgram.ts'

/** Scheduled work yields to all other processes: nobody waits for it. */
const { PRIORITY_LOW, PRIORITY_BELOW_NORMAL } = constants.priority

/**
 * Answers the order on standard input, and ends. A failure is an answer too: `kind` failed, with
 * `code`, `message` and `cure`. `tell` prints news before it. `isAwaited`: a person waits for it,
 * so that a busy machine does not keep it from beginning; it still gives way to the node.
 */
export function answerOrder<Order>(
  act: (order: Order, tell: (news: object) => void) => Promise<object>,
  isAwaited = false,
): void {
  setPriority(isAwaited ? PRIORITY_BELOW_NORMAL : PRIORITY_LOW)
  let isAnswered = false
  const input = createInterface({ input: process.stdin })
  input.once('line', (line) => {
    const tell = (news: object) => print({ ...news, kind: NEWS })
    void act(JSON.parse(line), tell)
      .catch(failureOf)
      .then((answer) => {
        isAnswered = true
        print(answer)
        process.stdin.destroy()
      })
  })
  input.once('close', () => {
    // Nothing in it needs an orderly end, and SQLite may be at work in a thread.
    if (!isAnswered) end()
  })
}

/**
 * As `answerOrder`, with an answer for `askForAnswer`, for work that blocks its thread, as SQLite's
 * does. `program`, which calls this, runs once more in a thread of its own: the main thread still
 * hears the end of standard input.
 */
export function answerInThread<Order>(program: Program, act: (order: Order) => object): void {
  if (isMainThread) return answerOrder((order: Order) => answerOfThread(program, order), true)
  try {
    parentPort?.postMessage({ kind: 'answer', answer: act(workerData) })
  } catch (error) {
    parentPort?.postMessage(failureOf(error))
  }
}

function answerOfThread(program: Program, workerData: unknown): Promise<object> {
  return new Promise((resolve) => {
    const thread = new Worker(programPath(program), { workerData })
    thread.once('message', resolve)
    // It has no memory left, for example. The asker learns of it from the end of the process.
    thread.once('error', (error) => process.stderr.write(`${messageOf(error)}\n`, end))
  })
}

function end(): void {
  process.kill(process.pid, 'SIGKILL')
}

function failureOf(error: unknown): object {
  const { key: code, message, cure } = asWalcastError(error)
  return { kind: 'failed', code, message, cure }
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
