/**
 * libSQL's server: a primary, and replicas that follow its log of frames over gRPC and keep a
 * SQLite file each. With its standard settings; its heartbeat and its storage server, the two that
 * would reach other machines, are off unless asked for.
 */
import { join } from 'node:path'
import { freePort } from '../../src/cli/freePorts.ts'
import { Stream } from '../clients/sqld.ts'
import { packagedProgram } from '../install.ts'
import type { Place, Setup, System } from '../system.ts'
import { answers, whenReady } from './peer.ts'
import { runningAlone, type Server, withFollowers } from './servers.ts'

const MAKE_TABLE = 'CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v BLOB)'

let binary = ''

export const sqld: System = {
  name: 'sqld',
  hasPages: false,
  async install(progress) {
    binary = await packagedProgram(`@sqld/${process.platform}-${process.arch}/sqld`, progress)
  },
  async prepare() {},
  async startAlone(setup) {
    return runningAlone(await startPrimary(setup, []))
  },
  async start(setup) {
    const grpc = `127.0.0.1:${await freePort()}`
    const server = await startPrimary(setup, ['--grpc-listen-addr', grpc])
    return withFollowers(setup, server, async (name) => {
      const follower = await startServer(setup, name, ['--primary-grpc-url', `http://${grpc}`])
      await whenReady(follower.child, () => answers(follower.place))
      return follower
    })
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
