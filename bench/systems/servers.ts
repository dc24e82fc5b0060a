/** A server with followers, as most peers are: what runs, where it is read, and how it ends. */
import type { Child } from '../processes.ts'
import type { Place, RunningNode, RunningPrimary, RunningSystem, Setup } from '../system.ts'
import { verifyWhenLevel, whenShown } from './peer.ts'

export interface Server extends RunningNode {
  readonly child: Child
  readonly place: Place
}

export function runningAlone(server: Server): RunningPrimary {
  return { nodes: [server], primary: server.place, stop: () => server.child.stop() }
}

/** Starts replica1, replica2 and so on, one after the other, and puts them beside the server. */
export async function withFollowers(
  setup: Setup,
  server: Server,
  startFollower: (name: string) => Promise<Server>,
): Promise<RunningSystem> {
  const followers: Server[] = []
  for (let i = 1; i <= setup.replicas; i++) followers.push(await startFollower(`replica${i}`))
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
}
