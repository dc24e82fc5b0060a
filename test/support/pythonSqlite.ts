/**
 * Python's SQLite, of another version and in another process: a judge that shares nothing with the
 * code under test.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { endingWithParent } from './endsWithParent.ts'

const SCRIPT = fileURLToPath(new URL('../../../test/support/sqlite_server.py', import.meta.url))

/** What a reader sees: SHA-256 of the database image; `integrity` is '' unless checked. */
export interface Look {
  readonly sha256: string
  readonly integrity: string
}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

export class PythonSqlite {
  readonly #process: ChildProcessWithoutNullStreams
  readonly #waiting: Waiting[] = []
  #complaints = ''

  constructor() {
    const [file, args] = endingWithParent('python3', [SCRIPT])
    this.#process = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints = (this.#complaints + text).slice(-4000)
    })
    createInterface({ input: this.#process.stdout }).on('line', (line) => this.#answered(line))
    this.#process.on('exit', () => {
      for (const { reject } of this.#waiting.splice(0))
        reject(new Error(`python ended: ${this.#complaints}`))
    })
  }

  version(): Promise<string> {
    return this.#ask({ op: 'version' }) as Promise<string>
  }

  /** Opens connection `name` with a busy time-out of 0. */
  async open(name: string, path: string): Promise<void> {
    await this.#ask({ op: 'open', name, path })
  }

  async close(name: string): Promise<void> {
    await this.#ask({ op: 'close', name })
  }

  rows(name: string, sql: string): Promise<unknown[][]> {
    return this.#ask({ op: 'rows', name, sql }) as Promise<unknown[][]>
  }

  /**
   * Reads the whole database through connection `name`, and runs the integrity check if `check`.
   */
  look(name: string, check = true): Promise<Look> {
    return this.#ask({ op: 'look', name, check }) as Promise<Look>
  }

  /** Opens `path` anew, looks, and closes. */
  async lookAt(path: string): Promise<Look> {
    await this.open('once', path)
    try {
      return await this.look('once')
    } finally {
      await this.close('once')
    }
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, 'exit')
    this.#process.stdin.end()
    await ended
  }

  #ask(request: Readonly<Record<string, unknown>>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#process.stdin.write(`${JSON.stringify(request)}\n`)
    })
  }

  #answered(line: string): void {
    const answer = JSON.parse(line) as { value?: unknown; error?: string }
    const waiting = this.#waiting.shift()
    if (answer.error === undefined) waiting?.resolve(answer.value)
    else waiting?.reject(new Error(answer.error))
  }
}
