/**
 * libSQL's server: a primary, and replicas that follow its log of frames over gRPC and keep a SQLite file each. With its standard
 * settings; its heartbeat and its storage server, the two that would reach other machines, are off unless asked for.
 */
import { join } from 'node:path'
import { peerFile } from '../clients/peerPackage.ts'
import { Stream } from '../clients/sqld.ts'
import { installPackages } from '../install.ts'
import { type Child, freePort } from '../processes.ts'
import type { Place, RunningNode, Setup, System } from '../system.ts'
import { NotAvailable } from '../system.ts'
import { answers, verifyWhenLevel, whenReady, whenShown } from './peer.ts'

const MAKE_TABLE = 'CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v BLOB)'

let binary = ''

interface Server extends RunningNode {
  readonly child: Child
  readonly place: Place
}

export const sqld: System = {
  name: 'sqld',
  hasPages: false,
  async install(progress) {
    await installPackages(progress)
    try {
      binary = peerFile(`@sqld/${process.platform}-${process.arch}/sqld`)
    } catch {
      throw new NotAvailable(`sqld has no program for ${process.platform}-${process.arch}`)
    }
  },
  async prepare() {},
  async startAlone(setup) {
    const server = await startPrimary(setup, [])
    return { nodes: [server], primary: server.place, stop: () => server.child.stop() }
  },
  async start(setup) {
    const grpc = `127.0.0.1:${await freePort()}`
    const server = await startPrimary(setup, ['--grpc-listen-addr', grpc])
    const followers: Server[] = []
    for (let i = 1; i <= setup.replicas; i++) {
      const follower = await startServer(setup, `replica${i}`, ['--primary-grpc-url', `http://${grpc}`])
      await whenReady(follower.child, () => answers(follower.place))
      followers.push(follower)
    }
    const replicas = followers.map((follower) => follower.place)
    return {
      nodes: [server, ...followers],
      primary: server.place,
      replicas,
      whenLevel: (id, timeoutMs) => whenShown(replicas, id, timeoutMs),
      figures: async () => ({}),
      verify: () => verifyWhenLevel(setup, server.place, replicas),
      async stop() {
        for (const each of [...followers, server]) await each.child.stop()
      },
    }
  },
}

async function startPrimary(setup: Setup, args: readonly string[]): Promise<Server> {
  const server = await startServer(setup, 'leader', args)
  await whenReady(server.child, () => makesTable(server.place))
  return server
}

async function startServer(setup: Setup, name: string, args: readonly string[]): Promise<Server> {
  const address = `127.0.0.1:${await freePort()}`
  const files = ['--no-welcome', '--db-path', join(setup.folder, name)]
  const child = setup.processes.start({
    name,
    file: binary,
    args: [...files, '--http-listen-addr', address, ...args],
  })
  return { name, pid: child.pid, child, place: { client: 'sqld', where: `http://${address}` } }
}

/** Whether the server is up and has the table. */
async function makesTable(place: Place): Promise<boolean> {
  const stream = new Stream(place.where)
  try {
    await stream.execute(MAKE_TABLE)
    await stream.close()
    return true
  } catch {
    return false
  }
}
