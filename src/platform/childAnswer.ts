/** The other side of `askProgram`: the program that is asked. */
import { constants, setPriority } from 'node:os'
import { createInterface } from 'node:readline'
import { asWalcastError } from '../errors.ts'
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
      .catch((error) => {
        const { key: code, message, cure } = asWalcastError(error)
        return { kind: 'failed', code, message, cure }
      })
      .then((answer) => {
        isAnswered = true
        print(answer)
        process.stdin.destroy()
      })
  })
  input.once('close', () => {
    // Nothing in it needs an orderly end, and SQLite may be at work in a thread.
    if (!isAnswered) process.kill(process.pid, 'SIGKILL')
  })
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
