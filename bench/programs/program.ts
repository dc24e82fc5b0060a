/**
 * What the bench's small programs have in common. Each runs as a process of its own: it says `ready` on standard
 * output, begins when a line comes on standard input, and ends with one line of JSON.
 */
import { parseArgs } from 'node:util'
import Database from 'better-sqlite3'

/** Flags of the form `--name value`; throws on a missing one. */
export class Flags {
  readonly #values: Record<string, string | undefined>

  constructor(names: readonly string[]) {
    const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]))
    this.#values = parseArgs({ options }).values as Record<string, string | undefined>
  }

  text(name: string): string {
    const value = this.#values[name]
    if (value === undefined) throw new Error(`--${name} is missing`)
    return value
  }

  number(name: string): number {
    const value = Number(this.text(name))
    if (!Number.isFinite(value)) throw new Error(`--${name} is no number`)
    return value
  }
}

/** Says that everything is set up, and waits for the word to begin. */
export async function readyThenGo(): Promise<void> {
  const go = new Promise<void>((resolve, reject) => {
    process.stdin.once('data', () => resolve())
    process.stdin.once('end', () => reject(new Error('standard input ended before the start')))
  })
  process.stdout.write('ready\n')
  await go
  process.stdin.destroy()
}

export function report(result: Readonly<Record<string, number | string>>): void {
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

/** A connection as an application would open it: WAL, synchronous=NORMAL, busy time-out 5 s. */
export function openForWriting(path: string, autocheckpoint: number): Database.Database {
  const db = new Database(path, { timeout: 5000 })
  db.pragma('synchronous = NORMAL')
  db.pragma(`wal_autocheckpoint = ${autocheckpoint}`)
  return db
}

const sleeper = new Int32Array(new SharedArrayBuffer(4))

/** Sleeps without taking a core. Fractions of a millisecond count; Linux adds about 0.05 ms of timer slack. */
export function sleepMs(ms: number): void {
  Atomics.wait(sleeper, 0, 0, ms)
}
