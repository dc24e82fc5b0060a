/** The other side of `askProgram`: the program that is asked. */
import { constants, setPriority } from 'node:os'
import { createInterface } from 'node:readline'
import { asWalcastError } from '../errors.ts'

/**
 * Answers the order on standard input, with the least claim on the processor, and ends. A failure
 * is an answer too: `kind` failed, with `code` and `message`.
 */
export function answerOrder<Order>(act: (order: Order) => Promise<object>): void {
  setPriority(constants.priority.PRIORITY_LOW)
  let isAnswered = false
  const input = createInterface({ input: process.stdin })
  input.once('line', (line) => {
    void act(JSON.parse(line))
      .catch((error) => {
        const { key: code, message } = asWalcastError(error)
        return { kind: 'failed', code, message }
      })
      .then((answer) => {
        isAnswered = true
        process.stdout.write(`${JSON.stringify(answer)}\n`)
        process.stdin.destroy()
      })
  })
  input.once('close', () => {
    // Nothing in it needs an orderly end, and SQLite may be at work in a thread.
    if (!isAnswered) process.kill(process.pid, 'SIGKILL')
  })
}
