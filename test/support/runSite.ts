/** A node under `walcast run`, with the bank (programs/bankApp.ts) as its application. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../src/cli/freePorts.ts'
import type { Backend } from './balancers.ts'
import type { Child } from './child.ts'
import type { Lab } from './lab.ts'
import { PROGRAMS } from './paths.ts'
import { TestNode } from './testNode.ts'
import { until } from './until.ts'

export interface RunOptions {
  /** The leader to follow at the first start. */
  readonly leader?: string
  readonly flags?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

interface Ports {
  readonly port: number
  readonly proxyPort: number
  readonly appPort: number
}

export class RunSite implements Backend {
  readonly name: string
  readonly db: string
  readonly #lab: Lab
  readonly #ports: Ports
  readonly #options: RunOptions
  #node: TestNode

  private constructor(lab: Lab, name: string, ports: Ports, options: RunOptions, node: TestNode) {
    this.#lab = lab
    this.name = name
    this.db = node.db
    this.#ports = ports
    this.#options = options
    this.#node = node
  }

  static async start(lab: Lab, name: string, options: RunOptions): Promise<RunSite> {
    const ports = { port: await freePort(), proxyPort: await freePort(), appPort: await freePort() }
    const node = await startRun(lab, name, ports, options)
    return new RunSite(lab, name, ports, options, node)
  }

  get port(): number {
    return this.#ports.port
  }

  get proxyPort(): number {
    return this.#ports.proxyPort
  }

  get node(): TestNode {
    return this.#node
  }

  /** Process id of the application as its node's child; undefined without one. */
  async applicationPid(): Promise<number> {
    return until('the application answers', async () => {
      const response = await fetch(`http://127.0.0.1:${this.#ports.appPort}/about`)
      return ((await response.json()) as { readonly pid: number }).pid
    })
  }

  /** Kills it; resolves once it and its connections have ended. Its node restarts it. */
  async killApplication(): Promise<void> {
    const pid = await this.applicationPid()
    process.kill(pid, 'SIGKILL')
    await until('the application has ended', () => hasEnded(pid))
  }

  /** Waits until its public side reports that node and application are ready. */
  async readyForClients(): Promise<void> {
    const url = `http://127.0.0.1:${this.#ports.proxyPort}/readyz`
    await until(`${this.name} is ready for clients`, async () => (await fetch(url)).status === 200)
  }

  /** Restarts it after its end, in the role of its role file. */
  async restart(): Promise<void> {
    this.#node = await startRun(this.#lab, this.name, this.#ports, this.#options)
  }
}

async function startRun(
  lab: Lab,
  name: string,
  { port, proxyPort, appPort }: Ports,
  { leader, flags = [], environment = {} }: RunOptions,
): Promise<TestNode> {
  const db = lab.path(`${name}.db`)
  const own = [
    ['--db', db],
    ['--name', name],
    ['--listen', `127.0.0.1:${port}`],
    ['--proxy', `127.0.0.1:${proxyPort}`],
    ['--upstream', `http://127.0.0.1:${appPort}`],
    ['--restart', 'on-failure'],
    leader === undefined ? [] : ['--leader', leader],
  ].flat()
  const bank = JSON.stringify({ path: db, name, port: appPort, busyMs: 1000 })
  const program = [process.execPath, join(PROGRAMS, 'bankApp.js'), bank]
  const child: Child = lab.cli(['run', ...own, ...flags, '--', ...program], environment)
  await child.errorLine((line) => line.includes('"msg":"running"'))
  return new TestNode('node', { db, port, environment }, child)
}

/**
 * It may be a zombie until its parent waits for it (proc(5), field 3). Its files close once its
 * other threads are gone.
 */
function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const isDead = ['Z', 'X'].includes(stat.charAt(stat.lastIndexOf(')') + 2))
    return isDead && readdirSync(`/proc/${pid}/task`).length <= 1
  } catch {
    return true
  }
}
