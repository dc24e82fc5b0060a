/** One child process of a test: its lines, its end, and signals by its own id. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { within } from './until.ts'

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const MAX_LINES = 200_000

export class Child {
  readonly name: string
  readonly ended: Promise<Ended>
  readonly out: string[] = []
  readonly err: string[] = []
  readonly #process: ChildProcess
  readonly #waiters = new Set<() => void>()
  #end: Ended | undefined
  #isStopped = false

  constructor(
    name: string,
    file: string,
    args: readonly string[],
    environment: NodeJS.ProcessEnv = process.env,
  ) {
    this.name = name
    this.#process = spawn(file, [...args], { stdio: ['pipe', 'pipe', 'pipe'], env: environment })
    this.#process.stdin?.on('error', () => {})
    this.#collect(this.#process.stdout, this.out)
    this.#collect(this.#process.stderr, this.err)
    this.ended = new Promise((resolve) => {
      const end = (ended: Ended) => {
        this.#end = ended
        this.#wake()
        resolve(ended)
      }
      this.#process.on('error', () => end({ code: null, signal: null }))
      this.#process.on('close', (code, signal) => end({ code, signal }))
    })
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  get end(): Ended | undefined {
    return this.#end
  }

  /** Whether the test meant it to end. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  /** A line of text to its standard input. */
  write(line: string): void {
    this.#process.stdin?.write(`${line}\n`)
  }

  kill(signal: NodeJS.Signals): void {
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') this.#isStopped = true
    if (this.#end === undefined && this.#process.exitCode === null && this.#process.signalCode === null)
      this.#process.kill(signal)
  }

  /** It is going to end by itself; that is no failure. */
  expectEnd(): void {
    this.#isStopped = true
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', timeoutMs = 20_000): Promise<Ended> {
    this.kill(signal)
    return within(`${this.name} ends after ${signal}`, this.ended, timeoutMs)
  }

  /** Waits for a line of standard output from `from` on that `match` accepts; gives its index and text. */
  line(
    match: (line: string) => boolean,
    from = 0,
    timeoutMs = 20_000,
  ): Promise<{ at: number; text: string }> {
    return this.#lineOf(this.out, match, from, timeoutMs)
  }

  /** The same of standard error. */
  errorLine(
    match: (line: string) => boolean,
    from = 0,
    timeoutMs = 20_000,
  ): Promise<{ at: number; text: string }> {
    return this.#lineOf(this.err, match, from, timeoutMs)
  }

  /** The last lines of both outputs, for the message of a failed test. */
  tail(): string {
    const last = (lines: readonly string[]) => lines.slice(-15).map((line) => `    ${line.slice(0, 600)}`)
    const state = this.#end ? `ended ${this.#end.code ?? this.#end.signal}` : 'running'
    return [`  ${this.name} (${this.pid}, ${state})`, ...last(this.out), ...last(this.err)].join('\n')
  }

  async #lineOf(
    lines: readonly string[],
    match: (line: string) => boolean,
    from: number,
    timeoutMs: number,
  ): Promise<{ at: number; text: string }> {
    let next = from
    const find = () => {
      for (; next < lines.length; next++) if (match(lines[next])) return next
      return -1
    }
    const search = async () => {
      for (;;) {
        const at = find()
        if (at >= 0) return { at, text: lines[at] }
        if (this.#end) throw new Error(`${this.name} ended without the line\n${this.tail()}`)
        await new Promise<void>((resolve) => {
          const wake = () => {
            this.#waiters.delete(wake)
            resolve()
          }
          this.#waiters.add(wake)
        })
      }
    }
    return within(`a line of ${this.name}`, search(), timeoutMs)
  }

  #collect(stream: NodeJS.ReadableStream | null, lines: string[]): void {
    if (!stream) return
    createInterface({ input: stream }).on('line', (line) => {
      if (lines.length < MAX_LINES) lines.push(line)
      this.#wake()
    })
  }

  #wake(): void {
    for (const wake of this.#waiters) wake()
  }
}
