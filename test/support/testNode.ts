/** A walcast node under test: a real process of the command line, asked over its private side. */
import { readFileSync, statSync } from 'node:fs'
import type { Position } from '../../proto/position.ts'
import type { LagReport, NodeStatus } from '../../src/api/nodeStatus.ts'
import { SETTLE_PATH, type SettleAnswer } from '../../src/api/settled.ts'
import type { Child, Ended } from './child.ts'
import { request } from './httpRequest.ts'
import { type OperatorRequest, operatorHeaders } from './signatures.ts'
import { PATIENCE_MS, until } from './until.ts'

/** The command that starts a node; `node` keeps its role. */
export type NodeCommand = 'leader' | 'replica' | 'node'

export interface NodeOptions {
  /** Path of the database file. */
  readonly db: string
  readonly port: number
  /** HOST:PORT of the leader, for a replica. */
  readonly leader?: string
  readonly flags?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** Command line of the version before keys, in place of this one. */
  readonly oldProgram?: string | undefined
}

export interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: Headers
}

export class TestNode {
  /** The command that started it. Its role may change later. */
  readonly role: NodeCommand
  readonly options: NodeOptions
  readonly child: Child

  constructor(role: NodeCommand, options: NodeOptions, child: Child) {
    this.role = role
    this.options = options
    this.child = child
  }

  get pid(): number {
    return this.child.pid
  }

  get address(): string {
    return `127.0.0.1:${this.options.port}`
  }

  get url(): string {
    return `${this.isTls ? 'https' : 'http'}://${this.address}`
  }

  /** Whether it takes only TLS. */
  get isTls(): boolean {
    const { flags = [], environment = {} } = this.options
    if (flags.includes('--plaintext')) return false
    const isWanted = flags.includes('--tls') || flags.includes('--tls-cert')
    return isWanted || environment['WALCAST_TLS'] === 'true'
  }

  get db(): string {
    return this.options.db
  }

  /** GETs a path, signed with the node's own secret unless other headers are given. */
  get(path: string, headers?: Record<string, string>, timeoutMs = PATIENCE_MS): Promise<Answer> {
    return this.#ask(path, { ...(headers ? { headers } : {}) }, timeoutMs, headers === undefined)
  }

  /** POSTs a JSON body, as an operator does. */
  post(path: string, value: object = {}, timeoutMs = PATIENCE_MS): Promise<Answer> {
    const headers = { 'content-type': 'application/json' }
    return this.#ask(path, { method: 'POST', headers, body: JSON.stringify(value) }, timeoutMs)
  }

  /** DELETEs, as an operator does. */
  delete(path: string, timeoutMs = PATIENCE_MS): Promise<Answer> {
    return this.#ask(path, { method: 'DELETE' }, timeoutMs)
  }

  /** Signed on the private side only: elsewhere a signed request is the application's. */
  async #ask(
    path: string,
    given: OperatorRequest,
    timeoutMs: number,
    isOperator = true,
  ): Promise<Answer> {
    const asked = { ...given, signal: AbortSignal.timeout(timeoutMs) }
    const secret = this.options.environment?.['WALCAST_SECRET']
    const isSigned = isOperator && secret !== undefined && path.startsWith('/_walcast/')
    const headers = isSigned ? await this.#credential(secret, path, asked) : {}
    return requestOnce(`${this.url}${path}`, {
      ...asked,
      headers: { ...given.headers, ...headers },
    })
  }

  async #credential(
    secret: string,
    path: string,
    asked: OperatorRequest,
  ): Promise<Record<string, string>> {
    if (this.options.oldProgram !== undefined) return { authorization: `Bearer ${secret}` }
    return operatorHeaders(secret, this.url, path, asked)
  }

  async status(): Promise<NodeStatus> {
    return JSON.parse((await this.get('/_walcast/status')).text)
  }

  /**
   * A position with every commit made before the call; undefined while a huge one is on its way. A
   * node of an earlier version tells none.
   */
  async settled(): Promise<Position | undefined> {
    const { status, text } = await this.get(SETTLE_PATH)
    if (status === 404) return { epoch: 0, txid: 0 }
    const { epoch, txid, isCaptured }: SettleAnswer = JSON.parse(text)
    return isCaptured ? { epoch, txid } : undefined
  }

  async lag(): Promise<LagReport> {
    return JSON.parse((await this.get('/_walcast/lag')).text)
  }

  /** The value of one metric, summed over labels; 0 when missing. */
  async metric(name: string, labels = ''): Promise<number> {
    const { text } = await this.get('/metrics')
    let sum = 0
    for (const line of text.split('\n')) {
      const match = /^(\w+)(\{.*\})? (\S+)$/.exec(line)
      if (match?.[1] === name && (labels === '' || (match[2] ?? '').includes(labels)))
        sum += Number(match[3])
    }
    return sum
  }

  /** Waits until /readyz answers 200. */
  async ready(): Promise<this> {
    await until(`${this.child.name} is ready`, async (saw) => {
      const { status, text } = await this.get('/readyz')
      saw(text)
      return status === 200
    })
    return this
  }

  /** Log lines (JSON) whose message contains `text`. */
  logged(text: string): string[] {
    return this.child.err.filter((line) => line.includes(text))
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    return this.child.stop(signal)
  }

  get walBytes(): number {
    return statSync(`${this.db}-wal`, { throwIfNoEntry: false })?.size ?? 0
  }

  /** They change when the WAL is begun anew. */
  get walSalts(): string {
    return readFileSync(`${this.db}-wal`).subarray(16, 24).toString('hex')
  }

  get rssBytes(): number {
    const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.pid}/status`, 'latin1'))
    return Number(match?.[1] ?? 0) * 1024
  }
}

async function requestOnce(url: string, given: OperatorRequest): Promise<Answer> {
  const answer = await request(url, given)
  const flat = Object.entries(answer.headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((each): [string, string] => [name, each]),
  )
  return { status: answer.statusCode, text: await answer.body.text(), headers: new Headers(flat) }
}
