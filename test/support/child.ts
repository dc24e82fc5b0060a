/** One child process of a test: its output lines, its end, and signals by process id. */
import { type ChildProcess, spawn } from 'node:child_process'
import { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { endingWithParent, endWithRunner } from './endsWithParent.ts'
import { PATIENCE_MS, within } from './until.ts'

endWithRunner()

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
    const [bound, boundArgs] = endingWithParent(file, args)
    this.#process = spawn(bound, boundArgs, { stdio: ['pipe', 'pipe', 'pipe'], env: environment })
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

  closeInput(): void {
    this.#process.stdin?.end()
  }

  kill(signal: NodeJS.Signals): void {
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') this.#isStopped = true
    if (
      this.#end === undefined &&
      this.#process.exitCode === null &&
      this.#process.signalCode === null
    )
      this.#process.kill(signal)
  }

  /** Says that its end is expected and no failure. */
  expectEnd(): void {
    this.#isStopped = true
  }

  /** Lets this process end while the child runs and nothing waits for a line of it. */
  unref(): void {
    this.#process.unref()
    for (const stream of this.#process.stdio) if (stream instanceof Socket) stream.unref()
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.kill(signal)
    return within(`${this.name} ends after ${signal}`, this.ended)
  }

  /**
   * Waits for a line of standard output from `from` on that `match` accepts; gives its index and
   * text. Throws when the process ends without it, or says nothing at all for `patienceMs`.
   */
  line(
    match: (line: string) => boolean,
    from = 0,
    patienceMs = PATIENCE_MS,
  ): Promise<{ at: number; text: string }> {
    return this.#lineOf(this.out, match, from, patienceMs)
  }

  /** The same for standard error. */
  errorLine(
    match: (line: string) => boolean,
    from = 0,
    patienceMs = PATIENCE_MS,
  ): Promise<{ at: number; text: string }> {
    return this.#lineOf(this.err, match, from, patienceMs)
  }

  /** The last lines of both outputs, for the message of a failed test. */
  tail(): string {
    const last = (lines: readonly string[]) =>
      lines.slice(-15).map((line) => `    ${line.slice(0, 600)}`)
    const state = this.#end ? `ended ${this.#end.code ?? this.#end.signal}` : 'running'
    return [`  ${this.name} (${this.pid}, ${state})`, ...last(this.out), ...last(this.err)].join(
      '\n',
    )
  }

  async #lineOf(
    lines: readonly string[],
    match: (line: string) => boolean,
    from: number,
    patienceMs: number,
  ): Promise<{ at: number; text: string }> {
    for (let next = from; ; ) {
      for (; next < lines.length; next++)
        if (match(lines[next])) return { at: next, text: lines[next] }
      if (this.#end) throw new Error(`${this.name} ended without the line\n${this.tail()}`)
      await this.#moves(patienceMs)
    }
  }

  /** Waits for the next line of either output, or the end. */
  async #moves(patienceMs: number): Promise<void> {
    let wake = () => {}
    const moved = new Promise<void>((resolve) => {
      wake = resolve
    })
    this.#waiters.add(wake)
    try {
      await within(`a line of ${this.name}`, moved, patienceMs)
    } finally {
      this.#waiters.delete(wake)
    }
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
