/**
 * Asks a program in a process of its own: it gets one line of JSON on standard input and answers
 * with one. It must end when its standard input does.
 */
import { messageOf, WalcastError } from '../errors.ts'
import { spawn } from '../platform/processes.ts'
import { type Program, programPath } from '../programs.ts'

/** An answer is one short line. */
const MAX_ANSWER_CHARS = 16 * 1024
const MAX_ERROR_CHARS = 300

export type Answer = Readonly<Record<string, unknown>>

/**
 * Kills the program once `signal` aborts, and throws STOPPING then. Throws DRILL_ENDED when it
 * gives no answer.
 */
export function askProgram(program: Program, order: object, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [programPath(program)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let out = ''
    let failure = ''
    const end = () => child.kill('SIGKILL')
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    child.stdout.on('data', (chunk) => {
      out = `${out}${chunk}`.slice(0, MAX_ANSWER_CHARS)
    })
    child.stderr.on('data', (chunk) => {
      failure = `${failure}${chunk}`.slice(-MAX_ERROR_CHARS)
    })
    child.once('error', (error) => {
      failure = messageOf(error)
    })
    child.once('close', (code, killedBy) => {
      signal.removeEventListener('abort', end)
      const answer = answerIn(out)
      const detail = failure.trim() || `it ended with ${killedBy ?? code}`
      if (signal.aborted) reject(new WalcastError('STOPPING'))
      else if (answer) resolve(answer)
      else reject(new WalcastError('DRILL_ENDED', { detail }))
    })
    // A process that has ended takes nothing; its end tells why.
    child.stdin.on('error', () => {})
    child.stdin.write(`${JSON.stringify(order)}\n`)
  })
}

function answerIn(line: string): Answer | undefined {
  try {
    return Object(JSON.parse(line))
  } catch {
    return undefined
  }
}
