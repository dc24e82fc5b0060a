/**
 * Redis with asynchronous replicas and nothing written to disk: the lower bound of what a push over
 * loopback can do.
 */

import { freePort } from '../../src/cli/freePorts.ts'
import { debianProgram, installPackages } from '../install.ts'
import type { Place, Setup, System } from '../system.ts'
import { answers, whenReady } from './peer.ts'
import { runningAlone, type Server, withFollowers } from './servers.ts'

let binary = ''

interface RedisServer extends Server {
  readonly port: number
}

export const redis: System = {
  name: 'redis',
  hasPages: false,
  async install(progress) {
    await installPackages(progress)
    binary = await debianProgram('redis-server', 'redis-server', () => [], progress)
  },
  async prepare() {},
  async startAlone(setup) {
    return runningAlone(await startServer(setup, 'leader', []))
  },
  async start(setup) {
    const server = await startServer(setup, 'leader', ['--repl-diskless-sync-delay', '0'])
    return withFollowers(setup, server, (name) =>
      startServer(setup, name, ['--replicaof', `127.0.0.1 ${server.port}`]),
    )
  },
}

/**
 * `replica-serve-stale-data no` makes a replica refuse until its first copy is whole, so that ready
 * means replicating.
 */
async function startServer(
  setup: Setup,
  name: string,
  args: readonly string[],
): Promise<RedisServer> {
  const port = await freePort()
  const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const child = setup.processes.start({
    name,
    file: binary,
    args: [
      ...fixed,
      '--dir',
      setup.folder,
      '--dbfilename',
      `${name}.rdb`,
      '--replica-serve-stale-data',
      'no',
      ...args,
    ],
  })
  const place: Place = { client: 'redis', where: `redis://127.0.0.1:${port}` }
  await whenReady(child, () => answers(place))
  return { name, pid: child.pid, child, place, port }
}
