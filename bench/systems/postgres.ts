/**
 * PostgreSQL with streaming replication: a primary and hot standbys made by pg_basebackup, as
 * Debian ships it, with its standard settings (fsync, synchronous_commit=on) but for the addresses.
 */
import { chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { freePort } from '../../src/cli/freePorts.ts'
import { connect } from '../clients/postgres.ts'
import { debianProgram, installPackages, versionsBelow } from '../install.ts'
import { type Command, pause } from '../processes.ts'
import type { Place, RunningSystem, Setup, System } from '../system.ts'
import { answers, whenReady } from './peer.ts'
import { runningAlone, type Server, withFollowers } from './servers.ts'

type Mode = 'asynchronous' | 'remote_apply'

const DEBIAN_FOLDER = '/usr/lib/postgresql'
const STEP_TIMEOUT_MS = 120_000
const STANDBY_TIMEOUT_MS = 30_000
const MAKE_TABLE = 'CREATE TABLE t(id bigint PRIMARY KEY, v bytea)'

export const postgres = system('postgres', 'asynchronous')
/** Each COMMIT waits until the standby shows it. */
export const postgresRemoteApply = system('postgres-remote-apply', 'remote_apply')

function system(name: string, mode: Mode): System {
  return {
    name,
    hasPages: false,
    install: (progress) => install(progress),
    async prepare() {},
    startAlone: async (setup) => runningAlone(await startPrimary(setup, 'asynchronous')),
    start: (setup) => start(setup, mode),
  }
}

let binaries = ''

async function install(progress: (text: string) => void): Promise<void> {
  await installPackages(progress)
  const folders = () =>
    versionsBelow(DEBIAN_FOLDER).map((version) => join(DEBIAN_FOLDER, version, 'bin'))
  binaries = dirname(await debianProgram('postgres', 'postgresql', folders, progress))
}

export interface PostgresServer extends Server {
  readonly port: number
}

export async function startPrimary(setup: Setup, mode: Mode): Promise<PostgresServer> {
  const folder = serverFolder(setup, 'leader')
  const initdb = [
    '-D',
    folder,
    '-U',
    'bench',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--no-sync',
    '--no-locale',
  ]
  await run(setup, 'initdb', initdb)
  const settings =
    mode === 'remote_apply'
      ? ['synchronous_commit=remote_apply', 'synchronous_standby_names=*']
      : []
  const server = await startServer(setup, 'leader', folder, settings)
  const client = await connect(server.place.where)
  // Nothing waits for a standby that does not exist yet.
  await client.query({ text: 'SET synchronous_commit = local' })
  await client.query({ text: MAKE_TABLE })
  await client.end()
  return server
}

async function start(setup: Setup, mode: Mode): Promise<RunningSystem> {
  const server = await startPrimary(setup, mode)
  const running = await withFollowers(setup, server, (name) => startStandby(setup, server, name))
  return {
    ...running,
    async verify() {
      await whenStandbysReplayed(server.place, setup.replicas)
      await running.verify()
    },
  }
}

async function startStandby(
  setup: Setup,
  primary: PostgresServer,
  name: string,
): Promise<PostgresServer> {
  const folder = serverFolder(setup, name)
  const source = ['-h', '127.0.0.1', '-p', String(primary.port), '-U', 'bench']
  await run(setup, 'pg_basebackup', [
    ...source,
    '-D',
    folder,
    '-R',
    '-X',
    'stream',
    '-c',
    'fast',
    '--no-sync',
  ])
  return startServer(setup, name, folder, [])
}

/** Resolves when every standby is connected and has replayed what the primary has written. */
async function whenStandbysReplayed(primary: Place, standbys: number): Promise<void> {
  const client = await connect(primary.where)
  const text =
    'SELECT count(*) AS n FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()'
  const deadlineMs = performance.now() + STANDBY_TIMEOUT_MS
  try {
    while (Number((await client.query({ text })).rows[0]?.['n']) < standbys) {
      if (performance.now() > deadlineMs) throw new Error('a PostgreSQL standby does not catch up')
      await pause(10)
    }
  } finally {
    await client.end()
  }
}

export async function startServer(
  setup: Setup,
  name: string,
  folder: string,
  settings: readonly string[],
): Promise<PostgresServer> {
  const port = await freePort()
  const all = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    ...settings,
  ]
  const child = setup.processes.start({
    name,
    file: join(binaries, 'postgres'),
    args: ['-D', folder, ...all.flatMap((setting) => ['-c', setting])],
    stopSignal: 'SIGINT',
    ...serverUser(),
  })
  const place: Place = { client: 'postgres', where: `postgres://bench@127.0.0.1:${port}/postgres` }
  await whenReady(child, name === 'leader' ? () => accepts(place) : () => answers(place))
  return { name, pid: child.pid, child, place, port }
}

async function accepts(place: Place): Promise<boolean> {
  try {
    const client = await connect(place.where)
    await client.end()
    return true
  } catch {
    return false
  }
}

function run(setup: Setup, program: string, args: readonly string[]): Promise<string> {
  return setup.processes.run(postgresCommand(program, args), STEP_TIMEOUT_MS)
}

/** A program of PostgreSQL, run as the user of its servers. */
export function postgresCommand(program: string, args: readonly string[]): Command {
  return { name: program, file: join(binaries, program), args, ...serverUser() }
}

/** A folder that the server's user owns and can reach. */
export function serverFolder(setup: Setup, name: string): string {
  const folder = join(setup.folder, name)
  mkdirSync(folder, { mode: 0o700 })
  const { user } = serverUser()
  if (user) {
    chownSync(folder, user.uid, user.gid)
    for (const parent of [setup.processes.folder, setup.folder]) chmodSync(parent, 0o711)
  }
  return folder
}

/** PostgreSQL refuses to run as root: then it runs as the user that its package made. */
export function serverUser(): { readonly user?: { readonly uid: number; readonly gid: number } } {
  if (process.getuid?.() !== 0) return {}
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith('postgres:'))
  if (!line) throw new Error('there is no user postgres')
  const [, , uid, gid] = line.split(':').map(Number)
  return { user: { uid, gid } }
}
