/**
 * A leader and replicas, each as a proxy before an application of its own, and clients that control
 * every byte they send.
 */
import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { freePort } from '../../src/cli/freePorts.ts'
import type { Lab } from './lab.ts'
import type { AnswerSpec, AppState, Echo } from './programs/echoApp.ts'
import type { TestNode } from './testNode.ts'
import { until, within } from './until.ts'
import { makeDatabase } from './workload.ts'

export const SECRET = 'correct horse battery staple'

export interface Asked {
  /** An address of this machine. */
  readonly from?: string
  readonly method?: string
  readonly path?: string
  /** Names and values in turn. */
  readonly headers?: readonly string[]
  readonly body?: string | Buffer
  readonly answer?: AnswerSpec
}

export interface Got {
  readonly status: number
  readonly reason: string
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  readonly trailers: NodeJS.Dict<string>
}

/** The value of `x-answer` that asks for this answer. */
export function telling(spec: AnswerSpec): string {
  return Buffer.from(JSON.stringify(spec)).toString('base64url')
}

/** Every value of one header. */
export function valuesOf(
  { rawHeaders }: { readonly rawHeaders: readonly string[] },
  name: string,
): string[] {
  return rawHeaders.filter((_value, i) => i % 2 === 1 && rawHeaders[i - 1].toLowerCase() === name)
}

/** One request over a connection of its own. */
export function ask(port: number, asked: Asked): Promise<Got> {
  const { from, method = 'GET', path = '/', headers = [], body, answer } = asked
  const flat = ['host', 'app.test', ...headers, ...(answer ? ['x-answer', telling(answer)] : [])]
  if (body !== undefined) flat.push('content-length', String(Buffer.byteLength(body)))
  const place = { port, host: '127.0.0.1', ...(from === undefined ? {} : { localAddress: from }) }
  const got = new Promise<Got>((resolve, reject) => {
    const sent = request({ ...place, method, path, headers: flat, agent: false }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        const { statusCode: status = 0, statusMessage: reason = '', rawHeaders, trailers } = answer
        resolve({ status, reason, rawHeaders, trailers, body: Buffer.concat(chunks) })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
  return within(`an answer to ${method} ${path}`, got)
}

export function echoIn(got: Got): Echo {
  return JSON.parse(got.body.toString())
}

/** The code of walcast's own error in an answer, or ''. */
export function codeOf({ body }: Got): string {
  try {
    return String(JSON.parse(body.toString()).code).replace('WALCAST_', '')
  } catch {
    return ''
  }
}

/** A connection on which a test writes bytes and sees those that come. */
export class RawHttp {
  readonly socket: Socket
  text = ''

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.text += text
    })
    socket.on('error', () => {})
  }

  static async open(lab: Lab, port: number): Promise<RawHttp> {
    const raw = new RawHttp(connect(port, '127.0.0.1'))
    lab.atEnd(() => void raw.socket.destroy())
    await once(raw.socket, 'connect')
    return raw
  }

  /** Sends `text` and waits until the other side has closed. */
  static async exchange(lab: Lab, port: number, text: string): Promise<string> {
    const raw = await RawHttp.open(lab, port)
    raw.write(text)
    return raw.whole()
  }

  write(text: string): void {
    this.socket.write(text, 'latin1')
  }

  seen(text: string): Promise<true> {
    return until(`${JSON.stringify(text)} in ${JSON.stringify(this.text)}`, () =>
      this.text.includes(text),
    )
  }

  async whole(): Promise<string> {
    await until('the connection is closed', () => this.socket.closed)
    return this.text
  }
}

/** A part of a test that shares its nodes and applications, and leaves them unchanged. */
export interface Part {
  readonly name: string
  readonly run: (traffic: Traffic, lab: Lab) => Promise<void>
}

/** Runs the parts in order, up to one that fails. */
export async function runParts(
  lab: Lab,
  t: TestContext,
  traffic: Traffic,
  parts: readonly Part[],
): Promise<void> {
  for (const { name, run } of parts) {
    let failure: unknown
    await t.test(name, async () => {
      try {
        await run(traffic, lab)
      } catch (error) {
        failure = error
        throw error
      }
    })
    if (failure) throw failure
  }
}

export class App {
  readonly port: number

  constructor(port: number) {
    this.port = port
  }

  static async start(lab: Lab, name: string): Promise<App> {
    const port = await freePort()
    const child = lab.program('echoApp', { port, name })
    await child.line((line) => line.includes('"port"'))
    return new App(port)
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async state(): Promise<AppState> {
    return JSON.parse((await ask(this.port, { path: '/!state' })).body.toString())
  }

  async count(method: string, target: string): Promise<number> {
    return (await this.state()).seen[`${method} ${target}`] ?? 0
  }

  /** Releases one waiting answer, as soon as there is one. */
  async go(): Promise<void> {
    await until('an answer waits', async () => (await this.state()).waiting > 0)
    await ask(this.port, { path: '/!go' })
  }
}

export interface Traffic {
  readonly leader: TestNode
  readonly replica: TestNode
  /** Ports of the public sides. */
  readonly atLeader: number
  readonly atReplica: number
  readonly leaderApp: App
  readonly replicaApp: App
}

export interface TrafficOptions {
  readonly leaderFlags?: readonly string[]
  readonly replicaFlags?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** The leader accepts the options of a replica too. */
  readonly asNode?: boolean
  /** HOST:PORT where the replica finds the leader, given that of the leader. */
  readonly through?: (leader: TestNode) => Promise<string>
}

export async function startTraffic(lab: Lab, options: TrafficOptions = {}): Promise<Traffic> {
  const { leaderFlags = [], replicaFlags = [], through } = options
  const environment = options.environment ?? { WALCAST_SECRET: SECRET }
  const db = lab.path('leader.db')
  const [leaderApp, replicaApp] = await Promise.all([
    App.start(lab, 'leader'),
    App.start(lab, 'replica'),
    makeDatabase(lab, db),
  ])
  const [atLeader, atReplica] = [await freePort(), await freePort()]
  const flagsOf = (port: number, app: App, flags: readonly string[]) => {
    const upstream = flags.includes('--upstream') ? [] : ['--upstream', app.url]
    const proxy = flags.includes('--proxy') ? [] : ['--proxy', `127.0.0.1:${port}`]
    return [...proxy, ...upstream, ...flags]
  }
  const first = { environment, flags: flagsOf(atLeader, leaderApp, leaderFlags) }
  const leader = options.asNode ? await lab.node(db, first) : await lab.leader(db, first)
  const flags = ['--reconnect-max', '100ms', ...flagsOf(atReplica, replicaApp, replicaFlags)]
  const address = (await through?.(leader)) ?? leader.address
  const replica = await lab.replica(lab.path('replica.db'), address, { environment, flags })
  await replica.ready()
  return { leader, replica, atLeader, atReplica, leaderApp, replicaApp }
}

/** Both nodes have no running request and keep nothing. */
export async function requireQuiet({ leader, replica }: Traffic): Promise<void> {
  for (const node of [leader, replica])
    for (const name of ['kept_bodies_bytes', 'requests_held', 'intake_requests'])
      await until(
        `walcast_${name} of the ${node.role} is 0`,
        async () => (await node.metric(`walcast_${name}`)) === 0,
      )
}
