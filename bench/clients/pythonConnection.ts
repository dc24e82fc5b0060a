/**
 * A SQLite connection in a small Python process: Python's sqlite3 opens URI file names, with the
 * VFS of a loadable extension.
 */
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { findProgram } from '../install.ts'
import { PEERS_FOLDER, peerFile } from './peerPackage.ts'

const SCRIPT = join(PEERS_FOLDER, '../clients/litestream_vfs.py')
const PROBE = 'import sqlite3; sqlite3.Connection.enable_load_extension'
/** The package's names of processors, by Node's names. */
const PROCESSORS: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/** The extension's file. Throws when it is not installed. */
export function vfsFile(): string {
  const suffix = process.platform === 'darwin' ? 'dylib' : 'so'
  const platform = `${process.platform}-${PROCESSORS[process.arch] ?? process.arch}`
  return peerFile(`litestream-vfs-${platform}/litestream-vfs.${suffix}`)
}

/** A python3 whose sqlite3 loads extensions: Debian's before the one on the PATH. */
export async function findPython(): Promise<string | undefined> {
  for (const program of [findProgram('python3', ['/usr/bin']), findProgram('python3')]) {
    if (program && (await succeeds(program, ['-c', PROBE]))) return program
  }
  return undefined
}

async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  try {
    await promisify(execFile)(program, args)
    return true
  } catch {
    return false
  }
}

type Request =
  | { readonly op: 'run'; readonly sql: readonly string[] }
  | { readonly op: 'beginWriting'; readonly valueBytes: number }
  | { readonly op: 'insert'; readonly id: number }
  | { readonly op: 'number'; readonly sql: string }
  | { readonly op: 'digest' }

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

export class PythonConnection {
  readonly #process: ChildProcessWithoutNullStreams
  readonly #waiting: Waiting[] = []
  #complaints = ''

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#process = child
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints = (this.#complaints + text).slice(-2000)
    })
    createInterface({ input: child.stdout }).on('line', (line) => this.#answered(line))
    child.stdin.on('error', () => {})
    child.on('close', () => {
      for (const { reject } of this.#waiting.splice(0))
        reject(new Error(`python ended: ${this.#complaints}`))
    })
  }

  /**
   * Opens the database that `uri` names. What the extension writes, its log too, goes below
   * `folder`.
   */
  static async open(uri: string, folder: string): Promise<PythonConnection> {
    const python = await findPython()
    if (!python) throw new Error('no python3 loads extensions into SQLite')
    // The extension reads its environment once, when the process starts.
    const extension = uri.includes('vfs=') ? vfsFile() : ''
    const log = join(folder, 'litestream-vfs.log')
    const env = { ...process.env, TMPDIR: folder, LITESTREAM_LOG_FILE: log }
    const connection = new PythonConnection(spawn(python, [SCRIPT, extension, uri], { env }))
    await connection.#answer()
    return connection
  }

  async ask(request: Request): Promise<unknown> {
    this.#process.stdin.write(`${JSON.stringify(request)}\n`)
    return this.#answer()
  }

  /** Resolves when the database is closed. */
  async close(): Promise<void> {
    if (this.#process.exitCode === null) {
      const ended = once(this.#process, 'close')
      this.#process.stdin.end()
      await ended
    }
    if (this.#process.exitCode !== 0) throw new Error(`python failed: ${this.#complaints}`)
  }

  #answer(): Promise<unknown> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  #answered(line: string): void {
    const waiting = this.#waiting.shift()
    const answer = JSON.parse(line) as { readonly value?: unknown; readonly error?: string }
    if (answer.error === undefined) waiting?.resolve(answer.value)
    else waiting?.reject(new Error(answer.error))
  }
}
