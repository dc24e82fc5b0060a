/**
 * Two network namespaces joined by one cable (a veth pair): a network of the bench's own, with
 * addresses that nothing outside sees. Files are shared as ever. Wants root and the program `ip`.
 */
import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'
import { findProgram, NotAvailable } from './install.ts'

const run = promisify(execFile)
const TIMEOUT_MS = 20_000
/** The end of the cable has this name in both namespaces. */
export const CABLE = 'veth0'

export interface Namespace {
  readonly name: string
  /** Address of its end of the cable. */
  readonly address: string
  /**
   * The words before a command that run it in the namespace. `ip` execs the command, so both have
   * one process id.
   */
  readonly prefix: readonly string[]
}

let links = 0

export class Link {
  readonly leader: Namespace
  readonly replica: Namespace
  readonly #made: string[] = []
  /** However the bench ends, its namespaces go, and the cable with them. */
  readonly #onExit = () => this.#removeNow()

  private constructor(number: number) {
    const prefix = `walcast-bench-${process.pid}-${number}`
    this.leader = namespace(`${prefix}-leader`, '10.231.7.1')
    this.replica = namespace(`${prefix}-replica`, '10.231.7.2')
    process.once('exit', this.#onExit)
  }

  /** Throws NotAvailable with the reason where it is not allowed. */
  static async make(): Promise<Link> {
    requireNamespaces()
    const link = new Link(++links)
    try {
      await link.#lay()
      return link
    } catch (error) {
      link.remove()
      throw new NotAvailable(`no network namespace: ${complaintOf(error)}`)
    }
  }

  get namespaces(): readonly Namespace[] {
    return [this.leader, this.replica]
  }

  /** Runs `program` in both namespaces; the cable is CABLE in each. Throws what execFile throws. */
  async runInBoth(program: string, args: readonly string[]): Promise<void> {
    for (const { prefix } of this.namespaces) {
      const [file, ...before] = prefix
      await run(file, [...before, program, ...args], { timeout: TIMEOUT_MS })
    }
  }

  remove(): void {
    process.removeListener('exit', this.#onExit)
    this.#removeNow()
  }

  async #lay(): Promise<void> {
    for (const { name } of this.namespaces) {
      // Noted first, since a signal may come before it exists; removing nothing is harmless.
      this.#made.push(name)
      await ip('netns', 'add', name)
    }
    const peer = ['type', 'veth', 'peer', 'name', CABLE, 'netns', this.replica.name]
    await ip('-n', this.leader.name, 'link', 'add', CABLE, ...peer)
    for (const { name, address } of this.namespaces) {
      await ip('-n', name, 'address', 'add', `${address}/30`, 'dev', CABLE)
      // Packets as they are on a wire, of 1500 bytes: a lost one is not a lost message of 64 KB.
      await ip('-n', name, 'link', 'set', CABLE, 'gso_max_segs', '1', 'up')
      await ip('-n', name, 'link', 'set', 'lo', 'up')
    }
  }

  #removeNow(): void {
    for (const name of this.#made.splice(0)) removeNamespace(name)
  }
}

/** Throws NotAvailable with the reason where namespaces cannot be made. */
export function requireNamespaces(): void {
  if (process.getuid?.() !== 0) throw new NotAvailable('network namespaces want root')
  for (const program of ['ip', 'tc'])
    if (!findProgram(program)) throw new NotAvailable(`${program} is not here: install iproute2`)
}

/** Removes a namespace and its ends of cables; nothing happens if it was never made. */
export function removeNamespace(name: string): void {
  try {
    execFileSync('ip', ['netns', 'delete', name], { stdio: 'ignore', timeout: TIMEOUT_MS })
  } catch {
    // It was never made.
  }
}

export function namespace(name: string, address: string): Namespace {
  return { name, address, prefix: ['ip', 'netns', 'exec', name] }
}

export function ip(...args: readonly string[]) {
  return run('ip', args, { timeout: TIMEOUT_MS })
}

/** The error text of a failed command, on one line. */
export function complaintOf(error: unknown): string {
  const output = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
  return (output || String(error)).split('\n')[0]
}
