/**
 * PostgreSQL's own backup: pg_basebackup, and pg_receivewal for every change after it. Restored by
 * a copy of both and a server that replays them to their end.
 */
import { readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '../clients/postgres.ts'
import { type Child, pause } from '../processes.ts'
import type { Place, Setup, System } from '../system.ts'
import {
  type PostgresServer,
  postgres,
  postgresCommand,
  serverFolder,
  serverUser,
  startPrimary,
  startServer,
} from './postgres.ts'

const TIMEOUT_MS = 600_000
const LOOK_MS = 10
/** Fills about half a page of 8 KB with the rest of its row, and lies in it. */
const PAGE_VALUE_BYTES = 3904

export const postgresReceiveWal: System = {
  ...postgres,
  name: 'postgres with pg_receivewal',
  async start(setup) {
    const server = await startPrimary(setup, 'asynchronous')
    const receiver = await startReceiver(setup, server)
    return {
      nodes: [server, { name: 'replica1', pid: receiver.pid }],
      primary: server.place,
      replicas: [],
      whenLevel: () => whenReceived(server),
      figures: async () => ({}),
      // restored and compared where restores are measured
      async verify() {},
      async stop() {
        await receiver.stop()
        await server.child.stop()
      },
    }
  },
}

/** From the first WAL on, into the folder `wal`. */
export async function startReceiver(setup: Setup, server: PostgresServer): Promise<Child> {
  const args = [...sourceOf(server), '-D', serverFolder(setup, 'wal'), '--no-loop', '-s', '1']
  const command = { ...postgresCommand('pg_receivewal', args), name: 'replica1' }
  const receiver = setup.processes.start({ ...command, stopSignal: 'SIGINT' })
  await whenOne(server.place, 'SELECT count(*) AS n FROM pg_stat_replication')
  return receiver
}

function whenReceived(server: PostgresServer): Promise<void> {
  return whenOne(
    server.place,
    'SELECT count(*) AS n FROM pg_stat_replication WHERE write_lsn >= pg_current_wal_flush_lsn()',
  )
}

/** Asks until `n` of the answer is 1. */
async function whenOne(place: Place, text: string): Promise<void> {
  const client = await connect(place.where)
  const deadlineMs = performance.now() + TIMEOUT_MS
  try {
    while (Number((await client.query({ text })).rows[0]?.['n']) < 1) {
      if (performance.now() > deadlineMs) throw new Error(`not so: ${text}`)
      await pause(LOOK_MS)
    }
  } finally {
    await client.end()
  }
}

/** About as many bytes as SQLite's `pages`, in rows of the same kind. */
export async function fillPages({ place }: PostgresServer, megabytes: number): Promise<void> {
  const rows = Math.ceil((megabytes * 1e6) / 4096)
  await execute(place, [
    'CREATE TABLE pages(id bigint PRIMARY KEY, n int NOT NULL, v bytea)',
    'ALTER TABLE pages ALTER v SET STORAGE PLAIN',
    `INSERT INTO pages SELECT i, 0, decode(repeat(md5(i::text), ${PAGE_VALUE_BYTES / 16}), 'hex')
       FROM generate_series(1, ${rows}) AS i`,
  ])
}

/** Each changes one row of `pages` and adds a small one, as the writer does in SQLite. */
export async function commitMany({ place }: PostgresServer, transactions: number): Promise<void> {
  await execute(place, [
    'SET synchronous_commit = off',
    `DO $$ DECLARE rows bigint; BEGIN
       SELECT count(*) INTO rows FROM pages;
       FOR i IN 1..${transactions} LOOP
         INSERT INTO t VALUES (i, decode(md5(i::text), 'hex'));
         UPDATE pages SET n = n + 1 WHERE id = 1 + i % rows;
         COMMIT;
       END LOOP;
     END $$`,
  ])
}

async function execute(place: Place, statements: readonly string[]): Promise<void> {
  const client = await connect(place.where)
  try {
    for (const text of statements) await client.query({ text })
  } finally {
    await client.end()
  }
}

/** Over every row. */
export async function contentOf({ place }: PostgresServer): Promise<string> {
  const client = await connect(place.where)
  const text = `SELECT (SELECT md5(string_agg(id || ':' || md5(v), ',' ORDER BY id)) FROM t) ||
    (SELECT md5(string_agg(id || ':' || n || md5(v), ',' ORDER BY id)) FROM pages) AS n`
  try {
    return String((await client.query({ text })).rows[0]?.['n'])
  } finally {
    await client.end()
  }
}

export async function takeBaseBackup(setup: Setup, server: PostgresServer): Promise<void> {
  const folder = serverFolder(setup, 'base')
  const args = [...sourceOf(server), '-D', folder, '-X', 'stream', '-c', 'fast']
  await setup.processes.run(postgresCommand('pg_basebackup', args), TIMEOUT_MS)
}

/** Stops both once everything is received. Gives the folder of the WAL. */
export async function endReceiver(
  setup: Setup,
  server: PostgresServer,
  receiver: Child,
): Promise<string> {
  await whenReceived(server)
  await receiver.stop()
  await server.child.stop()
  const folder = join(setup.folder, 'wal')
  for (const name of readdirSync(folder))
    if (name.endsWith('.partial'))
      renameSync(join(folder, name), join(folder, name.slice(0, -'.partial'.length)))
  return folder
}

/** Resolves when the server has replayed everything and takes writes. */
export async function restoreBase(setup: Setup, walFolder: string): Promise<PostgresServer> {
  const folder = serverFolder(setup, 'restored')
  const base = join(setup.folder, 'base')
  const shell = `cp -a ${base}/. ${folder} && touch ${folder}/recovery.signal && sync -f ${folder}`
  const command = { name: 'cp', file: 'sh', args: ['-c', shell], ...serverUser() }
  await setup.processes.run(command, TIMEOUT_MS)
  const server = await startServer(setup, 'leader', folder, [
    `restore_command=cp ${walFolder}/%f %p`,
    'recovery_target_action=promote',
  ])
  await whenOne(server.place, 'SELECT (NOT pg_is_in_recovery())::int AS n')
  return server
}

function sourceOf({ port }: PostgresServer): string[] {
  return ['-h', '127.0.0.1', '-p', String(port), '-U', 'bench']
}
