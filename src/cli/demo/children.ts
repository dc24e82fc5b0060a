/** The processes of one demo. Each is ended by its process id, whatever happens. */
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { closeSync, openSync, readFileSync } from '../../platform/files.ts'
import { spawn } from '../../platform/processes.ts'
import { cancelTimer, setTimer } from '../../platform/time.ts'
import { type Program, programPath } from '../../programs.ts'
import { DemoFailure } from './failure.ts'

const STOP_TIMEOUT_MS = 12_000
const LOG_TAIL_LINES = 12

export class Children {
  readonly #folder: string
  readonly #environment: NodeJS.ProcessEnv
  readonly #running = new Set<Child>()
  readonly #names = new Set<string>()
  readonly #onDeath: (failure: DemoFailure) => void
  readonly #onExit = () => this.#killAll()

  /** Logs go to `folder`. `onDeath` is called when a process ends unasked. */
  constructor(
    folder: string,
    environment: NodeJS.ProcessEnv,
    onDeath: (failure: DemoFailure) => void,
  ) {
    this.#folder = folder
    this.#environment = environment
    this.#onDeath = onDeath
    process.once('exit', this.#onExit)
  }

  /** Starts a program of this package. A restarted program appends to its log. */
  start(name: string, program: Program, args: readonly string[]): Child {
    const process = this.#spawn(name, program, args)
    const child = new Child(name, this.#logPath(name), process)
    this.#running.add(child)
    this.#names.add(name)
    void child.ended.then(() => {
      this.#running.delete(child)
      if (!child.mayEnd) this.#onDeath(child.failure('ended by itself'))
    })
    return child
  }

  /** Stops the processes that still run, the last started first. */
  async stopAll(): Promise<void> {
    for (const child of [...this.#running].reverse()) await child.stop('SIGTERM')
    process.removeListener('exit', this.#onExit)
  }

  /** The last lines of every log, also of processes that have ended. */
  logTails(): string {
    return [...this.#names].map((name) => logTail(name, this.#logPath(name))).join('')
  }

  #logPath(name: string): string {
    return join(this.#folder, `${name}.log`)
  }

  #spawn(name: string, program: Program, args: readonly string[]): ChildProcess {
    const log = openSync(this.#logPath(name), 'a')
    // Detached, so that Ctrl-C reaches only the demo, which then stops each process in order.
    const preload =
      program === 'cli/main' ? ['--import', pathToFileURL(programPath('cli/demo/guard')).href] : []
    const child = spawn(process.execPath, [...preload, programPath(program), ...args], {
      stdio: ['ignore', 'ignore', log, 'ipc'],
      detached: true,
      env: this.#environment,
    })
    closeSync(log)
    return child
  }

  #killAll(): void {
    for (const child of this.#running) child.kill()
  }
}

export class Child {
  readonly name: string
  /** Resolves with the exit code, or -1 after a signal. */
  readonly ended: Promise<number>
  readonly #logPath: string
  readonly #process: ChildProcess
  #mayEnd = false

  constructor(name: string, logPath: string, process: ChildProcess) {
    this.name = name
    this.#logPath = logPath
    this.#process = process
    this.ended = new Promise((resolve) => {
      this.#process.once('error', () => resolve(-1))
      this.#process.once('exit', (code) => resolve(code ?? -1))
    })
  }

  get mayEnd(): boolean {
    return this.#mayEnd
  }

  onMessage<T>(listener: (message: T) => void): void {
    this.#process.on('message', (message) => listener(message as T))
  }

  /** Sends a message that tells the program to stop. */
  tell(message: string): void {
    this.expectEnd()
    this.#process.send(message, () => {})
  }

  /** Marks the coming end of the process as expected. */
  expectEnd(): void {
    this.#mayEnd = true
  }

  /** Sends `signal` and waits for the end; sends SIGKILL when that takes too long. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    this.expectEnd()
    this.#process.kill(signal)
    const timer = setTimer(() => this.kill(), STOP_TIMEOUT_MS)
    const code = await this.ended
    cancelTimer(timer)
    return code
  }

  /** Ends the process at once, without waiting. */
  kill(): void {
    this.expectEnd()
    this.#process.kill('SIGKILL')
  }

  failure(what: string): DemoFailure {
    return new DemoFailure(`${this.name} ${what}`, this.logTail())
  }

  logTail(): string {
    return logTail(this.name, this.#logPath)
  }
}

function logTail(name: string, path: string): string {
  const text = readFileSync(path, 'utf8').trimEnd()
  if (text === '') return ''
  const lines = text.split('\n').slice(-LOG_TAIL_LINES)
  return lines.map((line) => `${name} | ${line}\n`).join('')
}
