/**
 * Machines of the bench's own: network namespaces, each with a cable to one switch, a bridge in a
 * namespace where the clients are. A machine can be lost: its cable is cut, and all its processes
 * get SIGKILL. Files are shared as ever. Wants root and the program `ip`.
 */

import { NotAvailable } from './install.ts'
import {
  complaintOf,
  ip,
  type Namespace,
  namespace,
  removeNamespace,
  requireNamespaces,
} from './netns.ts'
import { nowMs } from './roleLog.ts'

const SWITCH = 'switch0'
const CABLE = 'veth0'
const NETWORK = '10.231.9'
/** Addresses of machines begin here; the clients have .1. */
const FIRST_HOST = 10

export interface Machine extends Namespace {
  /** The switch's end of its cable. */
  readonly port: string
}

/** When a machine was lost, in ms of the monotonic clock. */
export interface Loss {
  /** Just before the cable was cut. */
  readonly cutMs: number
  /** It was cut for certain: what begins later is not answered by that machine. */
  readonly goneMs: number
}

let networks = 0

export class Machines {
  readonly clients: Namespace
  readonly all: readonly Machine[]
  /** However the bench ends, its namespaces go. */
  readonly #onExit = () => this.#removeNow()

  private constructor(names: readonly string[]) {
    const prefix = `walcast-bench-${process.pid}-m${++networks}`
    this.clients = namespace(`${prefix}-clients`, `${NETWORK}.1`)
    this.all = names.map((name, at) => ({
      ...namespace(`${prefix}-${name}`, `${NETWORK}.${FIRST_HOST + at}`),
      port: `port${at}`,
    }))
    // Before the folder of the run goes: where that fails, listeners after it do not run.
    process.prependOnceListener('exit', this.#onExit)
  }

  /** Throws NotAvailable with the reason where it is not allowed. */
  static async make(names: readonly string[]): Promise<Machines> {
    requireNamespaces()
    const machines = new Machines(names)
    try {
      await machines.#lay()
      return machines
    } catch (error) {
      machines.remove()
      throw new NotAvailable(`no network namespaces: ${complaintOf(error)}`)
    }
  }

  /** Cuts the cable, then kills all that runs there. */
  async lose(machine: Machine): Promise<Loss> {
    const cutMs = nowMs()
    await ip('-n', this.clients.name, 'link', 'set', machine.port, 'down')
    const goneMs = nowMs()
    const { stdout } = await ip('netns', 'pids', machine.name)
    for (const pid of stdout.split('\n').filter(Boolean).map(Number)) killNow(pid)
    return { cutMs, goneMs }
  }

  /** The cable is whole again; nothing runs there. */
  async mend(machine: Machine): Promise<void> {
    await ip('-n', this.clients.name, 'link', 'set', machine.port, 'up')
  }

  remove(): void {
    process.removeListener('exit', this.#onExit)
    this.#removeNow()
  }

  async #lay(): Promise<void> {
    const hub = this.clients.name
    await ip('netns', 'add', hub)
    await ip('-n', hub, 'link', 'set', 'lo', 'up')
    await ip('-n', hub, 'link', 'add', SWITCH, 'type', 'bridge')
    await ip('-n', hub, 'address', 'add', `${this.clients.address}/24`, 'dev', SWITCH)
    await ip('-n', hub, 'link', 'set', SWITCH, 'up')
    for (const { name, port, address } of this.all) {
      await ip('netns', 'add', name)
      const ends = [port, 'type', 'veth', 'peer', 'name', CABLE, 'netns', name]
      await ip('-n', hub, 'link', 'add', ...ends)
      await ip('-n', hub, 'link', 'set', port, 'master', SWITCH, 'up')
      await ip('-n', name, 'address', 'add', `${address}/24`, 'dev', CABLE)
      await ip('-n', name, 'link', 'set', CABLE, 'up')
      await ip('-n', name, 'link', 'set', 'lo', 'up')
    }
  }

  #removeNow(): void {
    for (const { name } of [...this.all, this.clients]) removeNamespace(name)
  }
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
