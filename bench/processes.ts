/**
 * Child processes of one bench run, and its temporary folder. Whatever happens, each process is
 * ended by its id.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Command {
  /** Also the name of its log file and, with pinning, the key of its CPUs. */
  readonly name: string
  readonly file: string
  readonly args: readonly string[]
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>
  /** The user to run as, for servers that refuse to be root. */
  readonly user?: { readonly uid: number; readonly gid: number }
  /** The signal that ends it; SIGTERM when not given. */
  readonly stopSignal?: NodeJS.Signals
}

const TERM_TIMEOUT_MS = 10_000
const LOG_TAIL_CHARACTERS = 2000

/** CPUs by name of a process, as taskset takes them: `{ leader: '0', replica: '1' }`. */
export type Pinning = Readonly<Record<string, string>>

export class Processes {
  readonly folder = mkdtempSync(join(tmpdir(), 'walcast-bench-'))
  readonly #children = new Set<Child>()
  readonly #onExit = () => this.#killAll()
  #folders = 0
  #logs = 0
  pinning: Pinning = {}

  constructor() {
    process.once('exit', this.#onExit)
  }

  /** A new empty folder, removed when the run ends. */
  newFolder(): string {
    const folder = join(this.folder, String(++this.#folders))
    mkdirSync(folder)
    return folder
  }

  start(command: Command): Child {
    const cpus = this.pinning[command.name] ?? this.pinning[command.name.replace(/\d+$/, '')]
    const [file, args] = cpus
      ? ['taskset', ['-c', cpus, command.file, ...command.args]]
      : [command.file, command.args]
    const logPath = join(this.folder, `${++this.#logs}-${command.name}.log`)
    const child = new Child({ ...command, file, args }, logPath)
    this.#children.add(child)
    void child.ended.then(() => this.#children.delete(child))
    return child
  }

  /**
   * Runs a command to its end and returns the last line of its output. Throws when it fails or
   * takes too long.
   */
  async run(command: Command, timeoutMs: number): Promise<string> {
    const child = this.start(command)
    return child.result(timeoutMs)
  }

  /** Ends every process. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#children].map((child) => child.stop()))
  }

  async close(): Promise<void> {
    await this.stopAll()
    process.removeListener('exit', this.#onExit)
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }

  #killAll(): void {
    for (const child of this.#children) child.kill()
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }
}

/** One process. Its standard error goes to a file, so that the bench spends nothing on it. */
export class Child {
  readonly name: string
  readonly ended: Promise<void>
  readonly #logPath: string
  readonly #stopSignal: NodeJS.Signals
  readonly #process: ChildProcess
  #output = ''
  #exitCode: number | undefined
  #waiters: (() => void)[] = []

  constructor({ name, file, args, env, user, stopSignal }: Command, logPath: string) {
    this.name = name
    this.#stopSignal = stopSignal ?? 'SIGTERM'
    this.#logPath = logPath
    const log = openSync(logPath, 'a')
    this.#process = spawn(file, args, {
      stdio: ['pipe', 'pipe', log],
      env: { ...process.env, ...env },
      ...user,
    })
    closeSync(log)
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output = (this.#output + text).slice(-65_536)
      this.#wake()
    })
    this.#process.stdin?.on('error', () => {})
    this.ended = new Promise((resolve) => {
      const end = (code: number) => {
        this.#exitCode ??= code
        this.#wake()
        resolve()
      }
      this.#process.once('error', () => end(-1))
      this.#process.once('close', (code) => end(code ?? -1))
    })
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#exitCode === undefined
  }

  /** Waits until the program says `ready`. */
  ready(timeoutMs: number): Promise<void> {
    return this.says('ready', timeoutMs)
  }

  /** Waits for a line of output with just this word. */
  async says(word: string, timeoutMs: number): Promise<void> {
    await this.#until(
      () => this.#output.split('\n').includes(word),
      timeoutMs,
      `does not say ${word}`,
    )
  }

  go(): void {
    this.#process.stdin?.write('go\n')
  }

  /** Waits for a clean end and returns the last line of its output. */
  async result(timeoutMs: number): Promise<string> {
    await this.#until(() => !this.isRunning, timeoutMs, 'does not end')
    if (this.#exitCode !== 0) throw this.failure(`ended with code ${this.#exitCode}`)
    return this.#output.trimEnd().split('\n').at(-1) ?? ''
  }

  /** Sends the stop signal, and SIGKILL if it does not end. */
  async stop(): Promise<void> {
    if (!this.isRunning) return
    this.#process.kill(this.#stopSignal)
    const timer = setTimeout(() => this.kill(), TERM_TIMEOUT_MS)
    await this.ended
    clearTimeout(timer)
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }

  failure(what: string): Error {
    const log = readFileSync(this.#logPath, 'utf8').slice(-LOG_TAIL_CHARACTERS)
    return new Error(`${this.name} ${what}${log ? `; its log ends with:\n${log}` : ''}`)
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter()
  }

  async #until(isSo: () => boolean, timeoutMs: number, complaint: string): Promise<void> {
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.#wake()
    }, timeoutMs)
    try {
      while (!isSo()) {
        if (late) throw this.failure(`${complaint} after ${timeoutMs / 1000} s`)
        if (!this.isRunning) throw this.failure(`ended with code ${this.#exitCode}`)
        await new Promise<void>((resolve) => this.#waiters.push(resolve))
      }
    } finally {
      clearTimeout(timer)
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
