/** A leader and a replica inside the test process, and Fastify applications on them. */
import Database from 'better-sqlite3'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { freePort } from '../../src/cli/freePorts.ts'
import walcast from '../../src/embed/fastifyPlugin.ts'
import {
  type OpenOptions,
  openLeader,
  openReplica,
  type ReplicaOpenOptions,
  type WalcastNode,
} from '../../src/embed/library.ts'
import type { Lab } from './lab.ts'
import { PATIENCE_MS } from './until.ts'

export interface Embedded {
  readonly node: WalcastNode
  readonly db: Database.Database
}

export interface EmbeddedPair {
  readonly leader: Embedded
  readonly replica: Embedded
}

/** A database in WAL mode with one table `t(id, b)`. */
export function newDatabase(path: string): Database.Database {
  const db = new Database(path)
  db.pragma('journal_mode = wal')
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, b)')
  return db
}

export async function embeddedLeader(
  lab: Lab,
  options: Partial<OpenOptions> = {},
): Promise<Embedded> {
  const db = newDatabase(lab.path('a.db'))
  lab.atEnd(() => void db.close())
  const node = await openLeader({ db, listen: await freeAddress(), ...options })
  lab.atEnd(() => node.close())
  return { node, db }
}

export async function embeddedReplica(
  lab: Lab,
  leader: string,
  options: Partial<ReplicaOpenOptions> = {},
): Promise<Embedded> {
  const node = await openReplica({
    db: lab.path('b.db'),
    leader,
    listen: await freeAddress(),
    ...options,
  })
  lab.atEnd(() => node.close())
  await node.ready({ timeoutMs: PATIENCE_MS })
  return { node, db: node.open() }
}

export async function embeddedPair(
  lab: Lab,
  options: Partial<ReplicaOpenOptions> = {},
): Promise<EmbeddedPair> {
  const leader = await embeddedLeader(lab)
  return { leader, replica: await embeddedReplica(lab, leader.node.status.leader, options) }
}

export async function freeAddress(): Promise<string> {
  return `127.0.0.1:${await freePort()}`
}

export interface Served {
  readonly app: FastifyInstance
  readonly url: string
}

/**
 * Serves an application with the plugin and the routes of `build`. `before` adds parts ahead of the
 * plugin.
 */
export async function serve(
  lab: Lab,
  { node, db }: Embedded,
  build: (app: FastifyInstance, db: Database.Database) => void,
  before: (app: FastifyInstance) => void = () => {},
  options: FastifyServerOptions = {},
): Promise<Served> {
  const app = Fastify(options)
  lab.atEnd(() => app.close())
  before(app)
  await app.register(walcast, { node, handles: [db] })
  build(app, db)
  return { app, url: await app.listen({ port: await freePort(), host: '127.0.0.1' }) }
}

export interface ServedPair extends EmbeddedPair {
  readonly onLeader: Served
  readonly onReplica: Served
}

/** The same application on both. */
export async function servedPair(
  lab: Lab,
  build: (app: FastifyInstance, db: Database.Database) => void,
  before?: (app: FastifyInstance) => void,
  options: FastifyServerOptions = {},
): Promise<ServedPair> {
  const pair = await embeddedPair(lab)
  const onLeader = await serve(lab, pair.leader, build, before, options)
  const onReplica = await serve(lab, pair.replica, build, before, options)
  return { ...pair, onLeader, onReplica }
}

export interface Got {
  readonly status: number
  readonly text: string
  readonly headers: Headers
}

export async function ask(url: string, init: RequestInit = {}): Promise<Got> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS), ...init })
  return { status: answer.status, text: await answer.text(), headers: answer.headers }
}

export function json(value: unknown, method = 'POST'): RequestInit {
  return { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) }
}

export function countOf(db: Database.Database): number {
  return Number(db.prepare('SELECT count(*) FROM t').pluck().get())
}
