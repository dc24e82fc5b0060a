/**
 * Turso: its embedded database with a sync server of its own between writer and readers, both with
 * their standard settings. `clients/turso.ts` says what counts as a commit and as seen.
 */
import { join } from 'node:path'
import { freePort } from '../../src/cli/freePorts.ts'
import { MAKE_TABLE, openTurso, tursoPlace } from '../clients/tursoDatabase.ts'
import { packagedProgram } from '../install.ts'
import type { Child } from '../processes.ts'
import type { Place, RunningSystem, Setup, System } from '../system.ts'
import { verifySame } from './content.ts'
import { whenReady, whenShown } from './peer.ts'

let binary = ''

export const turso: System = {
  name: 'turso',
  hasPages: false,
  install,
  async prepare() {},
  async startAlone(setup) {
    return {
      nodes: [],
      primary: { client: 'turso', where: join(setup.folder, 'primary.db') },
      async stop() {},
    }
  },
  start,
}

async function install(progress: (text: string) => void): Promise<void> {
  const libc = process.platform === 'linux' ? '-gnu' : ''
  const name = `@tursodatabase/cli-${process.platform}-${process.arch}${libc}`
  binary = await packagedProgram(`${name}/tursodb`, progress)
}

async function start(setup: Setup): Promise<RunningSystem> {
  const { child, url } = await startServer(setup)
  const place = (name: string): Place => ({
    client: 'turso',
    where: `${url}#${join(setup.folder, `${name}.db`)}`,
  })
  const numbers = Array.from({ length: setup.replicas }, (_, i) => i + 1)
  // A process keeps a copy locked for some time after it closed it, so the bench's own has copies
  // that no program uses.
  await makeTable(place('table').where)
  const watched = numbers.map((number) => place(`watched${number}`))
  const primary = place('primary')
  const replicas = numbers.map((number) => place(`replica${number}`))
  return {
    nodes: [{ name: 'server', pid: child.pid }],
    primary,
    replicas,
    whenLevel: (id, timeoutMs) => whenShown(watched, id, timeoutMs),
    figures: async () => ({}),
    // The last is a copy made just then of what the server has, as is each replica's when no
    // program has read there.
    verify: () => verifySame(setup, [primary, ...replicas, place('new')]),
    stop: () => child.stop(),
  }
}

async function startServer(setup: Setup): Promise<{ readonly child: Child; readonly url: string }> {
  const address = `127.0.0.1:${await freePort()}`
  const args = [join(setup.folder, 'server.db'), '--sync-server', address]
  const child = setup.processes.start({ name: 'server', file: binary, args })
  const url = `http://${address}`
  await whenReady(child, () => isListening(url))
  return { child, url }
}

async function isListening(url: string): Promise<boolean> {
  try {
    const response = await fetch(url)
    await response.arrayBuffer()
    return true
  } catch {
    return false
  }
}

async function makeTable(where: string): Promise<void> {
  const db = await openTurso(tursoPlace(where))
  await db.exec(MAKE_TABLE)
  await db.push()
  await db.close()
}
