/** A leader and replicas as real processes, each before an application of its own. */

import { freePort } from '../../src/cli/freePorts.ts'
import type { Child } from './child.ts'
import type { Lab } from './lab.ts'
import { TcpProxy } from './tcpProxy.ts'
import type { TestNode } from './testNode.ts'

export const SECRET = 'correct horse battery staple'

/** One machine: a node, its application, and where clients find both. */
export interface Site {
  readonly node: TestNode
  readonly app: Child
  readonly url: string
}

export interface NotesCluster {
  readonly leader: Site
  readonly replicas: readonly Site[]
  /** Between each replica and the leader. */
  readonly links: readonly TcpProxy[]
}

export interface ClusterOptions {
  readonly replicas?: number
  readonly leaderFlags?: readonly string[]
  readonly replicaFlags?: readonly string[]
  /** See NodeOptions. */
  readonly oldProgram?: string | undefined
}

const ENVIRONMENT = { WALCAST_SECRET: SECRET }

export async function startNotes(lab: Lab, options: ClusterOptions = {}): Promise<NotesCluster> {
  const { replicas: count = 2, leaderFlags = [], replicaFlags = [], oldProgram } = options
  const db = lab.path('leader.db')
  await lab.exec(
    db,
    'PRAGMA journal_mode=wal',
    'CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT)',
    'CREATE INDEX notes_body ON notes (body)',
  )
  const all = ['--heartbeat', '100ms', ...leaderFlags]
  const leader = await startSite(lab, db, undefined, all, oldProgram)
  const links: TcpProxy[] = []
  const replicas: Site[] = []
  for (let i = 1; i <= count; i++) {
    const link = await TcpProxy.start(leader.node.options.port)
    lab.atEnd(() => link.close())
    links.push(link)
    const flags = ['--reconnect-max', '100ms', ...replicaFlags]
    replicas.push(await startSite(lab, lab.path(`replica${i}.db`), link.address, flags, oldProgram))
  }
  for (const { node } of replicas) await node.ready()
  return { leader, replicas, links }
}

/** `name` is that of the file, and is in the application's answers. */
export async function startSite(
  lab: Lab,
  db: string,
  leader: string | undefined,
  flags: readonly string[],
  oldProgram?: string,
): Promise<Site> {
  const name = db.replace(/^.*\/|\.db$/g, '')
  const [proxyPort, appPort] = [await freePort(), await freePort()]
  const app = lab.program('notesApp', { path: db, name, port: appPort })
  await app.line((line) => line.includes('listening'))
  const all = [
    ...flags,
    '--proxy',
    `127.0.0.1:${proxyPort}`,
    '--upstream',
    `http://127.0.0.1:${appPort}`,
  ]
  const options = { flags: all, environment: ENVIRONMENT, oldProgram }
  const node = leader ? await lab.replica(db, leader, options) : await lab.leader(db, options)
  return { node, app, url: `http://127.0.0.1:${proxyPort}` }
}

/** Requests that the application behind a node has answered, asked past the node. */
export async function requestsOf({ node }: Site): Promise<number> {
  const upstream = String(
    node.options.flags?.[(node.options.flags?.indexOf('--upstream') ?? 0) + 1],
  )
  const { requests } = (await (await fetch(`${upstream}/requests`)).json()) as { requests: number }
  return requests
}

export function post(
  url: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(url, { method: 'POST', body, headers: { 'content-type': 'text/plain', ...headers } })
}

/** The value of the position cookie that an answer sets, as a Cookie header. */
export function cookieOf(answer: Response): string {
  const found = answer.headers.getSetCookie().find((each) => each.startsWith('walcast_position='))
  return found?.split(';')[0] ?? ''
}
