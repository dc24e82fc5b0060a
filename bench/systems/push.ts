/**
 * The whole database pushed over HTTP, as people do it with a job of cron: a consistent copy, gzip,
 * an upload, a rename. Back to back, and every 30 s. Both are kinder than cron: nothing starts
 * anew, and the copy is not written to a file before it is sent.
 */
import { join } from 'node:path'
import { freePort } from '../../src/cli/freePorts.ts'
import type { Child } from '../processes.ts'
import type { Place, RunningNode, RunningSystem, Setup, System } from '../system.ts'
import { makeDatabase } from './content.ts'
import { verifyWhenLevel, whenShown } from './peer.ts'

const READY_TIMEOUT_MS = 30_000

const primaryPath = (setup: Setup) => join(setup.folder, 'primary.db')
const primaryPlace = (setup: Setup): Place => ({ client: 'sqlite', where: primaryPath(setup) })

/** As fast as it goes: while nothing changes it looks every millisecond. */
export const push = system('push-continuous', 1)
/**
 * A row waits for the next push, which is anything up to 30 s away. One measurement is shorter than
 * the interval, so that nearly all of its rows come with one push and their lag is much the same:
 * rounds differ by up to 30 s.
 */
export const pushEvery30s = system('push-30s', 30_000)

function system(name: string, everyMs: number): System {
  return {
    name,
    hasPages: true,
    periodMs: everyMs,
    async install() {},
    prepare: (setup, kind, megabytes) => makeDatabase(setup, primaryPath(setup), kind, megabytes),
    async startAlone(setup) {
      return { nodes: [], primary: primaryPlace(setup), async stop() {} }
    },
    start: (setup) => start(setup, everyMs),
  }
}

interface Receiver extends RunningNode {
  readonly child: Child
  readonly place: Place
  readonly url: string
}

async function start(setup: Setup, everyMs: number): Promise<RunningSystem> {
  const receivers: Receiver[] = []
  for (let i = 1; i <= setup.replicas; i++) receivers.push(await startReceiver(setup, i))
  const pusher = await startProgram(setup, 'leader', 'pusher', {
    db: primaryPath(setup),
    to: receivers.map((receiver) => receiver.url).join(','),
    'every-ms': everyMs,
  })
  const primary = primaryPlace(setup)
  const replicas = receivers.map((receiver) => receiver.place)
  return {
    nodes: [{ name: pusher.name, pid: pusher.pid }, ...receivers],
    primary,
    replicas,
    whenLevel: (id, timeoutMs) => whenShown(replicas, id, timeoutMs),
    figures: async () => ({}),
    verify: () => verifyWhenLevel(setup, primary, replicas),
    async stop() {
      await pusher.stop()
      for (const each of receivers) await each.child.stop()
    },
  }
}

async function startReceiver(setup: Setup, number: number): Promise<Receiver> {
  const name = `replica${number}`
  const path = join(setup.folder, `${name}.db`)
  const port = await freePort()
  const child = await startProgram(setup, name, 'pushReceiver', { db: path, port })
  const place: Place = { client: 'push', where: path }
  return { name, pid: child.pid, child, place, url: `http://127.0.0.1:${port}` }
}

async function startProgram(
  { processes, root, nodeArgs }: Setup,
  name: string,
  program: string,
  flags: Readonly<Record<string, string | number>>,
): Promise<Child> {
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)])
  const script = join(root, 'dist/bench/programs', `${program}.js`)
  const child = processes.start({
    name,
    file: process.execPath,
    args: [...nodeArgs, script, ...args],
  })
  await child.ready(READY_TIMEOUT_MS)
  child.go()
  return child
}
