/**
 * Litestream 0.3 with a file replica, at its standard interval of a second and at a millisecond.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packagedProgram } from '../install.ts'
import type { Place, RunningSystem, Setup, System } from '../system.ts'
import { makeDatabase, verifySame } from './content.ts'
import { whenReady, whenShown } from './peer.ts'

const RESTORE_TIMEOUT_MS = 120_000

const primaryPath = (setup: Setup) => join(setup.folder, 'primary.db')
export const replicaFolder = (setup: Setup, replica: number) =>
  join(setup.folder, `replica${replica}`)

export const litestream = system('litestream', 1000)
export const litestreamFast = system('litestream-1ms', 1)

function system(name: string, periodMs: number): System {
  return {
    name,
    periodMs,
    // The client finds rows in the leaves of the only table that grows.
    hasPages: false,
    install,
    prepare: (setup, kind, megabytes) => makeDatabase(setup, primaryPath(setup), kind, megabytes),
    async startAlone(setup) {
      return { nodes: [], primary: primaryPlace(setup), async stop() {} }
    },
    start: (setup) => start(setup, `${periodMs}ms`),
  }
}

let binary = ''

async function install(progress: (text: string) => void): Promise<void> {
  const name = `@flydotio/litestream-${process.platform}-${process.arch}/litestream`
  binary = await packagedProgram(name, progress)
}

export const primaryPlace = (setup: Setup): Place => ({
  client: 'sqlite',
  where: primaryPath(setup),
})

async function start(setup: Setup, interval: string): Promise<RunningSystem> {
  const numbers = Array.from({ length: setup.replicas }, (_, i) => i + 1)
  const folders = numbers.map((number) => replicaFolder(setup, number))
  for (const folder of folders) mkdirSync(folder)
  const config = join(setup.folder, 'litestream.yml')
  writeFileSync(config, configText(primaryPath(setup), interval, folders))
  const child = setup.processes.start({
    name: 'leader',
    file: binary,
    args: ['replicate', '-config', config],
  })
  await whenReady(child, async () =>
    folders.every((folder) => existsSync(join(folder, 'generations'))),
  )
  const replicas = folders.map((where): Place => ({ client: 'litestream', where }))
  return {
    nodes: [{ name: 'leader', pid: child.pid }],
    primary: primaryPlace(setup),
    replicas,
    whenLevel: (id, timeoutMs) => whenShown(replicas, id, timeoutMs),
    figures: async () => ({}),
    async verify() {
      const restored = await Promise.all(folders.map((folder) => restoreReplica(setup, folder)))
      await verifySame(setup, [primaryPlace(setup), ...restored])
    },
    stop: () => child.stop(),
  }
}

/** Restores the newest state beside the replica. */
export async function restoreReplica(setup: Setup, folder: string): Promise<Place> {
  const where = `${folder}-restored.db`
  const args = ['restore', '-o', where, `file://${folder}`]
  await setup.processes.run({ name: 'restore', file: binary, args }, RESTORE_TIMEOUT_MS)
  return { client: 'sqlite', where }
}

/** JSON is YAML too. */
function configText(path: string, interval: string, folders: readonly string[]): string {
  const replicas = folders.map((folder, i) => ({
    name: `replica${i + 1}`,
    type: 'file',
    path: folder,
    'sync-interval': interval,
  }))
  return JSON.stringify({ dbs: [{ path, 'monitor-interval': interval, replicas }] })
}
