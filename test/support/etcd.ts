/**
 * Real members of etcd, for tests: in a temporary folder, on free ports of loopback, ended by their
 * process ids. `ETCD` names another program than Debian's.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../src/cli/freePorts.ts'
import { Child } from './child.ts'
import { until } from './until.ts'

const PROGRAM = process.env['ETCD'] ?? '/usr/bin/etcd'
/** Ticks of a leader and of an election, ms: the least TTL is 3/2 of the second, rounded up. */
const HEARTBEAT_MS = 50
const ELECTION_MS = 500

interface Ending {
  after(end: () => Promise<void>): void
}

/** PEM files; clients must show a certificate of the same authority. */
export interface EtcdTlsFiles {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export interface EtcdOptions {
  /** 1 unless given. */
  readonly members?: number
  readonly tls?: EtcdTlsFiles
  readonly flags?: readonly string[]
}

export class EtcdMember {
  readonly name: string
  readonly origin: string
  readonly #folder: string
  readonly #args: readonly string[]
  #child: Child | undefined

  constructor(name: string, origin: string, folder: string, args: readonly string[]) {
    this.name = name
    this.origin = origin
    this.#folder = folder
    this.#args = args
  }

  start(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    this.#child = new Child(this.name, PROGRAM, this.#args)
  }

  /** Forgets everything. */
  wipe(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  async stop(): Promise<void> {
    await this.#child?.stop('SIGKILL')
  }

  tail(): string {
    return this.#child?.tail() ?? ''
  }
}

export class Etcd {
  readonly members: readonly EtcdMember[]
  readonly #tls: object | undefined
  #token = ''

  constructor(members: readonly EtcdMember[], tls: object | undefined) {
    this.members = members
    this.#tls = tls
  }

  get endpoints(): string[] {
    return this.members.map(({ origin }) => origin)
  }

  /** Starts what does not run, and waits until all that are named answer a write. */
  async start(members = this.members): Promise<void> {
    for (const member of members) member.start()
    for (const member of members) await until(`${member.name} answers`, () => this.#writes(member))
  }

  async #writes(member: EtcdMember): Promise<true> {
    // A member that was restarted knows no tokens.
    if (this.#token !== '') await this.becomeRoot(member)
    await this.ask('/v3/lease/grant', { TTL: 1 }, member)
    return true
  }

  /** A request of an operator. Throws unless it is answered with 200. */
  ask(
    path: string,
    body: object,
    member = this.members[0],
  ): Promise<Readonly<Record<string, unknown>>> {
    return new Promise((resolve, reject) => {
      const request = this.#tls ? httpsRequest : httpRequest
      const headers = this.#token === '' ? {} : { authorization: this.#token }
      const options = { method: 'POST', headers, timeout: 2_000, ...this.#tls }
      const asked = request(`${member.origin}${path}`, options, (answer) => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', (piece: string) => {
          text += piece
        })
        answer.on('end', () => {
          if (answer.statusCode === 200) resolve(JSON.parse(text))
          else reject(new Error(`${path}: ${answer.statusCode} ${text}`))
        })
      })
      asked.on('timeout', () => asked.destroy(new Error('no answer')))
      asked.on('error', reject)
      asked.end(JSON.stringify(body))
    })
  }

  /** Turns authentication on: `root`, and a user who may do all below `prefix`. */
  async protect(user: string, password: string, prefix: string): Promise<void> {
    const key = encoded(`${prefix}/`)
    const range_end = encoded(`${prefix}0`)
    const perm = { permType: 'READWRITE', key, range_end }
    await this.ask('/v3/auth/user/add', { name: 'root', password: 'of root' })
    await this.ask('/v3/auth/user/grant', { user: 'root', role: 'root' })
    await this.ask('/v3/auth/role/add', { name: 'walcast' })
    await this.ask('/v3/auth/role/grant', { name: 'walcast', perm })
    await this.ask('/v3/auth/user/add', { name: user, password })
    await this.ask('/v3/auth/user/grant', { user, role: 'walcast' })
    await this.ask('/v3/auth/enable', {})
    await this.becomeRoot()
  }

  /** Turns authentication off, and leaves users and rights as they are. */
  async unprotect(): Promise<void> {
    await this.becomeRoot()
    await this.ask('/v3/auth/disable', {})
    this.#token = ''
  }

  async becomeRoot(member = this.members[0]): Promise<void> {
    this.#token = ''
    const root = { name: 'root', password: 'of root' }
    const { token } = await this.ask('/v3/auth/authenticate', root, member)
    this.#token = String(token)
  }
}

/** Members that form one cluster and are ready; all are gone at the end of the test. */
export async function startEtcd(
  t: Ending,
  { members = 1, tls, flags = [] }: EtcdOptions = {},
): Promise<Etcd> {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-etcd-'))
  const scheme = tls ? 'https' : 'http'
  const places = await Promise.all(
    Array.from({ length: members }, async (_, at) => ({
      name: `etcd-${at + 1}`,
      client: `${scheme}://127.0.0.1:${await freePort()}`,
      peer: `http://127.0.0.1:${await freePort()}`,
    })),
  )
  const cluster = places.map(({ name, peer }) => `${name}=${peer}`).join(',')
  const etcd = new Etcd(
    places.map(({ name, client, peer }) => {
      const data = join(folder, name)
      return new EtcdMember(name, client, data, [
        ...['--name', name, '--data-dir', data],
        ...['--listen-client-urls', client, '--advertise-client-urls', client],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
        ...['--initial-cluster', cluster, '--logger', 'zap', '--log-level', 'error'],
        ...[
          '--heartbeat-interval',
          String(HEARTBEAT_MS),
          '--election-timeout',
          String(ELECTION_MS),
        ],
        // A test's machine does not lose its power.
        '--unsafe-no-fsync',
        ...(tls ? ['--trusted-ca-file', tls.ca, '--cert-file', tls.cert] : []),
        ...(tls ? ['--key-file', tls.key, '--client-cert-auth'] : []),
        ...flags,
      ])
    }),
    tls && readTls(tls),
  )
  t.after(async () => {
    await Promise.all(etcd.members.map((member) => member.stop()))
    rmSync(folder, { recursive: true, force: true })
  })
  await etcd.start()
  return etcd
}

function readTls({ ca, cert, key }: EtcdTlsFiles) {
  return { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) }
}

export function encoded(text: string): string {
  return Buffer.from(text).toString('base64')
}
