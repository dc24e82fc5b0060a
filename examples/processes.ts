/** The processes of one example: started together, stopped in order, none left over. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'

/** A node takes up to 10 s to let running requests end. */
const STOP_TIMEOUT_MS = 15_000
const READY_TIMEOUT_MS = 60_000
const LOOK_MS = 50

interface Running {
  readonly name: string
  readonly child: ChildProcess
  readonly ended: Promise<number>
}

export class Processes {
  readonly #running: Running[] = []
  readonly #died: Promise<string>
  #onDeath: (what: string) => void = () => {}
  #isStopping = false

  constructor() {
    this.#died = new Promise((resolve) => {
      this.#onDeath = resolve
    })
    process.once('exit', () => this.#killAll())
  }

  /** Resolves with the name of a process that ends unasked. */
  get died(): Promise<string> {
    return this.#died
  }

  /** Starts a program. Its log goes to standard error, with its name before each line. */
  start(
    name: string,
    file: string,
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
  ): void {
    if (this.#isStopping) return
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
      // In a group of its own, so that Ctrl-C reaches only this process, which then stops the
      // others in order.
      detached: true,
    })
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) =>
        process.stderr.write(`${name} | ${line}\n`),
      )
    const ended = new Promise<number>((resolve) => {
      child.once('error', () => resolve(-1))
      child.once('close', (code) => resolve(code ?? -1))
    })
    this.#running.push({ name, child, ended })
    void ended.then((code) => {
      if (!this.#isStopping) this.#onDeath(`${name} ended by itself (${code})`)
    })
  }

  /** Resolves when a GET of `url` gives 200. Throws after a minute, or when stopped meanwhile. */
  async answers(url: string): Promise<void> {
    const endMs = performance.now() + READY_TIMEOUT_MS
    while (!(await isOk(url))) {
      if (this.#isStopping) throw new Error('stopped')
      if (performance.now() > endMs) throw new Error(`${url} did not answer in time`)
      await delay(LOOK_MS)
    }
  }

  /** Stops all processes, the last started first. Returns whether each ended well. */
  async stop(): Promise<boolean> {
    this.#isStopping = true
    let isClean = true
    for (const { name, child, ended } of this.#running.reverse()) {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      const code = await ended
      clearTimeout(timer)
      if (code !== 0) process.stderr.write(`${name} ended with ${code}\n`)
      isClean &&= code === 0
    }
    this.#running.length = 0
    return isClean
  }

  #killAll(): void {
    for (const { child } of this.#running) child.kill('SIGKILL')
  }
}

async function isOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) })
    await response.body?.cancel()
    return response.status === 200
  } catch {
    // Not up yet: that is the answer.
    return false
  }
}
