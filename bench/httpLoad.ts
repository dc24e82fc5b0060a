/**
 * Requests of the suite http: what is asked of whom, by a program of its own
 * (programs/httpLoad.ts), and what it found.
 */
import { createRequire } from 'node:module'
import { NotAvailable } from './install.ts'
import type { Child } from './processes.ts'
import { type Context, startProgram } from './suite.ts'

/** read: GET /item, write: POST /item, nothing: POST /nothing. See programs/httpApp.ts. */
export type RequestKind = 'read' | 'write' | 'nothing'

export interface Target {
  readonly name: string
  readonly kind: RequestKind
  /** `http://HOST:PORT` */
  readonly origin: string
}

export interface Answers {
  readonly count: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly perSecond: number
}

const PATIENCE_SECONDS = 60

/** Throws NotAvailable: the package is there for development only, a checkout has it. */
export function requireAutocannon(): void {
  try {
    createRequire(import.meta.url).resolve('autocannon')
  } catch {
    throw new NotAvailable('the suite http wants the package autocannon: npm install autocannon@9')
  }
}

/** One load on several targets in turn, so that changes of the machine affect them all. */
export class Load<Name extends string> {
  readonly #child: Child
  readonly #names: readonly Name[]
  readonly #maxMs: number

  private constructor(child: Child, names: readonly Name[], maxMs: number) {
    this.#child = child
    this.#names = names
    this.#maxMs = maxMs
  }

  /**
   * Resolves when the warm-up is over. Each target is asked for `seconds`, and for `warmupSeconds`
   * before.
   */
  static async warm<Name extends string>(
    context: Context,
    targets: readonly (Target & { readonly name: Name })[],
    connections: number,
    seconds: number,
  ): Promise<Load<Name>> {
    const { warmupSeconds } = context.options
    const flags = { targets: JSON.stringify(targets), connections, seconds, warmup: warmupSeconds }
    const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)])
    const child = await startProgram(context, 'load', { script: 'programs/httpLoad.js', args })
    const maxSeconds = targets.length * 2 * Math.max(seconds, warmupSeconds) + PATIENCE_SECONDS
    child.go()
    await child.says('warm', maxSeconds * 1000)
    const names = targets.map(({ name }) => name)
    return new Load(child, names, maxSeconds * 1000)
  }

  get isRunning(): boolean {
    return this.#child.isRunning
  }

  go(): void {
    this.#child.go()
  }

  /** Rejects when a request failed or was answered with anything but 200. */
  async answers(): Promise<Readonly<Record<Name, Answers>>> {
    const result = Object(JSON.parse(await this.#child.result(this.#maxMs)))
    const of = (name: Name): Answers => {
      const number = (key: string) => {
        const value = Number(result[`${name}.${key}`])
        if (Number.isNaN(value)) throw this.#child.failure(`reported no ${key} of ${name}`)
        return value
      }
      return {
        count: number('count'),
        p50Ms: number('p50Ms'),
        p99Ms: number('p99Ms'),
        perSecond: number('perSecond'),
      }
    }
    return Object.fromEntries(this.#names.map((name) => [name, of(name)])) as Record<Name, Answers>
  }
}
