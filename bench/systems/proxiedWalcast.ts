/**
 * A leader and a replica with their proxies, each before an application of its own
 * (programs/httpApp.ts).
 */
import { freePort } from '../../src/cli/freePorts.ts'
import { type Context, startProgram } from '../suite.ts'
import type { Setup } from '../system.ts'
import { leaderPath, type RunningWalcast, startWalcast } from './walcast.ts'

export interface ProxiedWalcast {
  readonly running: RunningWalcast
  /** `http://HOST:PORT` each. */
  readonly leaderApp: string
  readonly replicaApp: string
  readonly leaderProxy: string
  readonly replicaProxy: string
  stop(): Promise<void>
}

/** The leader's file must be there. */
export async function startProxied(context: Context, setup: Setup): Promise<ProxiedWalcast> {
  const [leaderProxy, replicaProxy, replicaPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
  ]
  const replicaApp = originOf(replicaPort)
  const leaderApp = await startApp(
    context,
    'leaderApp',
    leaderPath(setup),
    'write',
    await freePort(),
  )
  const running = await startWalcast(setup, {
    leaderArgs: trafficArgs(leaderProxy, leaderApp.origin),
    replicaArgs: trafficArgs(replicaProxy, replicaApp),
  })
  const [copy] = running.replicas
  const { child } = await startApp(context, 'replicaApp', copy.where, 'read', replicaPort)
  return {
    running,
    leaderApp: leaderApp.origin,
    replicaApp,
    leaderProxy: originOf(leaderProxy),
    replicaProxy: originOf(replicaProxy),
    async stop() {
      await running.stop()
      for (const app of [child, leaderApp.child]) await app.stop()
    },
  }
}

async function startApp(
  context: Context,
  name: string,
  db: string,
  access: 'read' | 'write',
  port: number,
) {
  const args = ['--db', db, '--port', String(port), '--access', access]
  const child = await startProgram(context, name, { script: 'programs/httpApp.js', args })
  child.go()
  return { child, origin: originOf(port) }
}

const originOf = (port: number) => `http://127.0.0.1:${port}`

const trafficArgs = (port: number, upstream: string) => [
  '--proxy',
  `127.0.0.1:${port}`,
  '--upstream',
  upstream,
]
