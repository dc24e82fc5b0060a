/** Redis with asynchronous replicas and nothing written to disk: the lower bound of what a push over loopback can do. */
import { debianProgram, installPackages } from '../install.ts'
import { type Child, freePort } from '../processes.ts'
import type { Place, RunningNode, Setup, System } from '../system.ts'
import { verifySame } from './content.ts'
import { answers, whenReady, whenShown } from './peer.ts'

let binary = ''

interface Server extends RunningNode {
  readonly child: Child
  readonly place: Place
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
    const server = await startServer(setup, 'leader', [])
    return { nodes: [server], primary: server.place, stop: () => server.child.stop() }
  },
  async start(setup) {
    const server = await startServer(setup, 'leader', ['--repl-diskless-sync-delay', '0'])
    const followers: Server[] = []
    for (let i = 1; i <= setup.replicas; i++) {
      const follower = await startServer(setup, `replica${i}`, ['--replicaof', `127.0.0.1 ${server.port}`])
      followers.push(follower)
    }
    const replicas = followers.map((follower) => follower.place)
    return {
      nodes: [server, ...followers],
      primary: server.place,
      replicas,
      whenLevel: (id, timeoutMs) => whenShown(replicas, id, timeoutMs),
      figures: async () => ({}),
      verify: () => verifySame(setup, [server.place, ...replicas]),
      async stop() {
        for (const each of [...followers, server]) await each.child.stop()
      },
    }
  },
}

/** `replica-serve-stale-data no` makes a replica refuse until its first copy is whole, so that ready means replicating. */
async function startServer(setup: Setup, name: string, args: readonly string[]): Promise<Server> {
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
