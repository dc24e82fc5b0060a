/**
 * Doors into network namespaces: a port of loopback outside, and a Unix socket, which belongs to no
 * network, to a relay inside that passes everything on.
 */
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { Namespace } from './netns.ts'
import type { Child } from './processes.ts'
import type { Context } from './suite.ts'

const READY_TIMEOUT_MS = 30_000

export class NamespaceDoors {
  readonly #context: Context
  readonly #folder: string
  readonly #relays: Child[] = []
  readonly #doors: Server[] = []

  constructor(context: Context) {
    this.#context = context
    this.#folder = context.processes.newFolder()
  }

  /** The loopback port behind which `address` of the namespace's network is; `name` is unique. */
  async open(name: string, inside: Pick<Namespace, 'prefix'>, address: string): Promise<number> {
    const path = join(this.#folder, name)
    await this.relay(inside, path, address, 0)
    const door = createServer((near) => {
      const far = connect({ path })
      for (const [from, to] of [
        [near, far],
        [far, near],
      ])
        from
          .on('error', () => to.destroy())
          .on('close', () => to.destroySoon())
          .pipe(to)
    })
    this.#doors.push(door)
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve))
    const bound = door.address()
    if (typeof bound !== 'object' || !bound) throw new Error('no free port')
    return bound.port
  }

  /** A relay in the namespace, from a path or HOST:PORT to HOST:PORT. */
  async relay(
    inside: Pick<Namespace, 'prefix'>,
    listen: string,
    to: string,
    delayMs: number,
  ): Promise<Child> {
    const { processes, root } = this.#context
    const flags = ['--listen', listen, '--connect', to, '--delay-ms', String(delayMs)]
    const command = [process.execPath, join(root, 'dist/bench/programs/relay.js'), ...flags]
    const [file, ...args] = [...inside.prefix, ...command]
    const relay = processes.start({ name: 'relay', file, args })
    this.#relays.push(relay)
    await relay.ready(READY_TIMEOUT_MS)
    relay.go()
    return relay
  }

  async close(): Promise<void> {
    for (const door of this.#doors) door.close()
    await Promise.all(this.#relays.map((relay) => relay.stop()))
  }
}
