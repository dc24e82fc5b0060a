/**
 * Two nodes whose roles change, each behind its proxy with an application of its own
 * (programs/roleApp.ts), and the operator's actions.
 */
import { join } from 'node:path'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Child, pause } from '../processes.ts'
import { type Context, startProgram } from '../suite.ts'
import type { Place, Setup } from '../system.ts'
import { verifySame } from './content.ts'
import { type Asked, get, status, walcast } from './walcast.ts'

/** For two nodes on loopback without a secret. */
const HEARTBEAT = ['--heartbeat', '100ms']
const READY_TIMEOUT_MS = 60_000
const ACTION_TIMEOUT_MS = 60_000

/** The used part of the answer of `POST /_walcast/switchover`. */
export interface SwitchedOver {
  readonly pauseMs: number
  readonly tookMs: number
  readonly heldWrites: number
  readonly stages: Readonly<Record<string, number>>
}

/** The used part of the answer of `POST /_walcast/promote`. */
export interface Promoted {
  readonly tookMs: number
}

export interface RoleNode extends Asked {
  readonly name: string
  /** HOST:PORT of the private side. */
  readonly address: string
  /** `http://HOST:PORT` of the proxy. */
  readonly door: string
  readonly db: string
  readonly app: Child
}

export class RolePair {
  readonly nodes: readonly [RoleNode, RoleNode]
  readonly #setup: Setup

  private constructor(setup: Setup, nodes: readonly [RoleNode, RoleNode]) {
    this.#setup = setup
    this.nodes = nodes
  }

  /** The first one leads. */
  static async start(context: Context, setup: Setup): Promise<RolePair> {
    await walcast.prepare(setup, 'rows', 0)
    const first = await startNode(context, setup, 'leader', join(setup.folder, 'leader.db'))
    const second = await startNode(
      context,
      setup,
      'replica',
      join(setup.folder, 'replica.db'),
      first.address,
    )
    const pair = new RolePair(setup, [first, second])
    await pair.settled(first)
    return pair
  }

  /** Rejects when it failed. */
  switchOver(from: RoleNode, to: RoleNode): Promise<SwitchedOver> {
    return act<SwitchedOver>(from, 'switchover', { to: to.address })
  }

  promote(node: RoleNode): Promise<Promoted> {
    return act<Promoted>(node, 'promote', {})
  }

  /** Waits until `leader` leads and the other node is level with it. */
  async settled(leader: RoleNode): Promise<void> {
    const [other] = this.nodes.filter((node) => node !== leader)
    const deadlineMs = performance.now() + READY_TIMEOUT_MS
    while (!(await isSettled(leader, other))) {
      if (performance.now() > deadlineMs) throw other.child.failure('does not follow')
      await pause(10)
    }
  }

  /**
   * Waits until both nodes are equal, by their own checksums and by every row. Nothing may write
   * meanwhile.
   */
  async verify(): Promise<void> {
    const deadlineMs = performance.now() + READY_TIMEOUT_MS
    for (;;) {
      const [a, b] = await Promise.all(this.nodes.map((node) => status(node)))
      if (a.epoch === b.epoch && a.txid === b.txid && a.checksum === b.checksum) break
      if (performance.now() > deadlineMs) throw new Error(`not level: ${JSON.stringify([a, b])}`)
      await pause(10)
    }
    await verifySame(
      this.#setup,
      this.nodes.map(({ db }): Place => ({ client: 'sqlite', where: db })),
    )
  }

  async stop(): Promise<void> {
    for (const { child } of this.nodes.toReversed()) await child.stop()
    for (const { app } of this.nodes) await app.stop()
  }
}

async function startNode(
  context: Context,
  setup: Setup,
  role: 'leader' | 'replica',
  db: string,
  leader?: string,
): Promise<RoleNode> {
  const [address, door, port] = [await local(), await local(), await freePort()]
  const appArgs = ['--db', db, '--port', String(port)]
  const app = await startProgram(context, `${role}App`, {
    script: 'programs/roleApp.js',
    args: appArgs,
  })
  app.go()
  const args = [
    [join(context.root, 'dist/bundle/cli/main.js'), role, '--db', db, '--listen', address],
    ['--proxy', door, '--upstream', `http://127.0.0.1:${port}`, ...HEARTBEAT],
    leader === undefined ? [] : ['--leader', leader],
  ].flat()
  const child = setup.processes.start({
    name: role,
    file: process.execPath,
    args: [...setup.nodeArgs, ...args],
  })
  const node = {
    name: role,
    child,
    app,
    address,
    db,
    door: `http://${door}`,
    place: { url: `http://${address}` },
  }
  const deadlineMs = performance.now() + READY_TIMEOUT_MS
  while (!(await isReady(node))) {
    if (!child.isRunning) throw child.failure('ended')
    if (performance.now() > deadlineMs) throw child.failure('does not become ready')
    await pause(10)
  }
  return node
}

const local = async () => `127.0.0.1:${await freePort()}`

async function isReady({ place }: RoleNode): Promise<boolean> {
  try {
    const answer = await fetch(`${place.url}/readyz`, { signal: AbortSignal.timeout(5000) })
    await answer.arrayBuffer()
    return answer.status === 200
  } catch {
    return false
  }
}

async function isSettled(leader: RoleNode, other: RoleNode): Promise<boolean> {
  const [leads, follows] = await Promise.all(
    [leader, other].map(async (node) => Object(await get(node, '/_walcast/status', 'json'))),
  )
  const isFollowing = follows.role === 'replica' && follows.state === 'streaming'
  return leads.role === 'leader' && isFollowing && leads.epoch === follows.epoch
}

async function act<Answer>(node: RoleNode, action: string, body: object): Promise<Answer> {
  const answer = await fetch(`${node.place.url}/_walcast/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...body, by: 'bench' }),
    signal: AbortSignal.timeout(ACTION_TIMEOUT_MS),
  })
  const text = await answer.text()
  if (answer.status !== 200)
    throw node.child.failure(`answers ${answer.status} to ${action}: ${text}`)
  return JSON.parse(text)
}
