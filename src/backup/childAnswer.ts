/** The other side of `askProgram`: the program that is asked. */
import { constants, setPriority } from 'node:os'
import { createInterface } from 'node:readline'
import { asWalcastError } from '../errors.ts'
import { NEWS } from './childProgram.ts'

/**
 * Answers the order on standard input, with the least claim on the processor, and ends. A failure
 * is an answer too: `kind` failed, with `code`, `message` and `cure`. `tell` prints news before it.
 */
export function answerOrder<Order>(
  act: (order: Order, tell: (news: object) => void) => Promise<object>,
): void {
  setPriority(constants.priority.PRIORITY_LOW)
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
