/**
 * Asks a program in a process of its own: it gets one line of JSON on standard input and answers
 * with one, after lines of news. It must end when its standard input does.
 */
import type { ChildProcess } from 'node:child_process'
import { Socket } from 'node:net'
import { type ErrorCode, isErrorCode, messageOf, WalcastError } from '../errors.ts'
import { type Program, programPath } from '../programs.ts'
import { spawn } from './processes.ts'
import { cancelTimer, setTimer, type Timer } from './time.ts'

/** Of a line, unless the asker expects longer ones. */
const MAX_LINE_CHARS = 16 * 1024
const MAX_ERROR_CHARS = 300

/** After so long a killed program waits for a disk that does not answer, for example. */
const KILLED_MS = 5000

/** `kind` of a line that is no answer yet. */
export const NEWS = 'news'

export type Answer = Readonly<Record<string, unknown>>

export interface Asking {
  /** The longest line that the program may print, in characters. */
  readonly maxChars?: number
  /** MiB that its heap may have. */
  readonly heapMib?: number
  /** What is thrown when it gives no answer. */
  readonly ended: ErrorCode
  /** Hears of each line before the answer. */
  onNews?(news: Answer): void
}

/**
 * Kills the program once `signal` aborts, and throws STOPPING then. An answer that came before
 * counts: its work is done. Throws what `asking` says without an answer.
 */
export function askProgram(
  program: Program,
  order: object,
  signal: AbortSignal,
  asking: Asking,
): Promise<Answer> {
  const { maxChars = MAX_LINE_CHARS, heapMib, ended } = asking
  return new Promise((resolve, reject) => {
    const heap = heapMib === undefined ? [] : [`--max-old-space-size=${heapMib}`]
    const child = spawn(process.execPath, [...heap, programPath(program)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let out = ''
    let answer: Answer | undefined
    let failure = ''
    let late: Timer | undefined
    const end = () => {
      child.kill('SIGKILL')
      late ??= setTimer(() => letGo(child), KILLED_MS)
    }
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (chunk) => {
      const lines = `${out}${chunk}`.split('\n')
      out = lines.pop() ?? ''
      if (out.length > maxChars) {
        failure = 'its answer is too long'
        out = ''
        end()
      }
      for (const line of lines) {
        const told = answerIn(line)
        if (told?.['kind'] === NEWS) asking.onNews?.(told)
        else answer ??= told
      }
    })
    child.stderr.on('data', (chunk) => {
      failure = `${failure}${chunk}`.slice(-MAX_ERROR_CHARS)
    })
    child.once('error', (error) => {
      failure = messageOf(error)
    })
    child.once('close', (code, killedBy) => {
      signal.removeEventListener('abort', end)
      cancelTimer(late)
      const detail = failure.trim() || `it ended with ${killedBy ?? code}`
      if (answer) resolve(answer)
      else if (signal.aborted) reject(new WalcastError('STOPPING'))
      else reject(new WalcastError(ended, { detail }))
    })
    // A process that has ended takes nothing; its end tells why.
    child.stdin.on('error', () => {})
    child.stdin.write(`${JSON.stringify(order)}\n`)
  })
}

/**
 * `answer` of a line of `kind` answer. Throws what `askProgram` does, and the error of the
 * catalogue in a line of `kind` failed.
 */
export async function askForAnswer<T>(
  program: Program,
  order: object,
  signal: AbortSignal,
  asking: Asking,
): Promise<T> {
  const told = await askProgram(program, order, signal, asking)
  if (told['kind'] === 'answer') return told['answer'] as T
  const { code, message, cure } = told
  if (typeof code === 'string' && isErrorCode(code))
    throw new WalcastError(code, { message: String(message), cure: String(cure) })
  throw new WalcastError(asking.ended, { detail: 'it gave another answer' })
}

/** This process may end before it. */
function letGo(child: ChildProcess): void {
  child.unref()
  for (const pipe of [child.stdin, child.stdout, child.stderr])
    if (pipe instanceof Socket) pipe.unref()
}

function answerIn(line: string): Answer | undefined {
  try {
    return Object(JSON.parse(line))
  } catch {
    return undefined
  }
}
