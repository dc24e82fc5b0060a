/**
 * Opens and closes nodes in a process of its own, reports what it saw, and must exit by itself once
 * all are closed.
 */
import { readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { openLeader, openReplica, WalcastError } from '../../../src/embed/library.ts'
import { optionsOf, say } from './options.ts'

const { folder, addresses } = optionsOf<{ folder: string; addresses: [string, string] }>()
const [a, b] = addresses
const path = `${folder}/a.db`
const listeners = () =>
  process.eventNames().map((name) => `${String(name)} ${process.listenerCount(name)}`)
const resources = () =>
  process
    .getActiveResourcesInfo()
    .filter((name) => !/^(TTYWrap|PipeWrap|FSReqCallback)$/.test(name))

async function codeOf(open: () => Promise<unknown>): Promise<string> {
  try {
    await open()
    return 'nothing'
  } catch (error) {
    return error instanceof WalcastError ? error.code : String(error)
  }
}

const before = listeners()
const db = new Database(path)
db.pragma('journal_mode = wal')
db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, b)')

writeFileSync(`${folder}/text.db`, 'a text that is no database\n'.repeat(200))
new Database(`${folder}/plain.db`).exec('CREATE TABLE t (id INTEGER PRIMARY KEY)').close()
const taken = createServer()
await new Promise<void>((resolve) =>
  taken.listen(Number(a.split(':')[1]), '127.0.0.1', () => resolve()),
)
const foreign = Object({ name: path, open: true, pragma() {} })
const failures = {
  missing: await codeOf(() => openLeader({ db: `${folder}/none.db`, listen: b })),
  noSqlite: await codeOf(() => openLeader({ db: `${folder}/text.db`, listen: b })),
  taken: await codeOf(() => openLeader({ db, listen: a })),
  takenReplica: await codeOf(() => openReplica({ db: `${folder}/b.db`, leader: b, listen: a })),
  secret: await codeOf(() => openLeader({ db, listen: b, secret: 'short' })),
  open: await codeOf(() =>
    openReplica({
      db: `${folder}/b.db`,
      leader: b,
      listen: '0.0.0.0:1',
      advertise: '192.0.2.1:1',
    }),
  ),
  everywhere: await codeOf(() => openLeader({ db, listen: '0.0.0.0:1' })),
  nowhere: await codeOf(() => openLeader({ db, listen: b, advertise: '[::]:1' })),
  noCopy: await codeOf(() => openReplica({ db: `${folder}/plain.db`, leader: a, listen: b })),
  self: await codeOf(() => openReplica({ db: `${folder}/b.db`, leader: b, listen: b })),
  foreign: await codeOf(() => openLeader({ db: foreign, listen: b })),
  key: await codeOf(() => openLeader(Object({ db, listen: b, hodlMs: 1 }))),
  value: await codeOf(() => openLeader(Object({ db, listen: b, holdMs: '5s' }))),
  address: await codeOf(() => openLeader({ db, listen: 'nowhere' })),
  role: await codeOf(() => openLeader(Object({ db, listen: b, leader: a }))),
  standby: await codeOf(() => openLeader({ db, listen: b, standby: true })),
  noLeader: await codeOf(() => openReplica(Object({ db: `${folder}/b.db`, listen: b }))),
  noDb: await codeOf(() => openLeader(Object({ listen: b }))),
  memory: await codeOf(() => openLeader({ db: new Database(':memory:'), listen: b })),
}
await new Promise((resolve) => taken.close(resolve))
await delay(50)
say({
  failures,
  resources: resources(),
  files: readdirSync(folder).filter((name) => name.startsWith('b')),
})

for (let round = 1; round <= 2; round++) {
  const leader = await openLeader({ db, listen: a, holdMs: 1000 })
  const twice = await codeOf(() => openLeader({ db, listen: b }))
  const replica = await openReplica({ db: `${folder}/b.db`, leader: a, listen: b })
  await replica.ready()
  db.exec(`INSERT INTO t (b) VALUES (${round})`)
  const handle = replica.open()
  const { epoch, txid } = leader.position
  await replica.waitFor({ epoch, txid }, { timeoutMs: Number.POSITIVE_INFINITY })
  await replica.waitFor(`${epoch}-${txid}`)
  while (handle.prepare('SELECT count(*) FROM t').pluck().get() !== round) await delay(5)
  const during = listeners()
  await Promise.all([replica.close(), replica.close()])
  await leader.close()
  await leader.close()
  const again = await openReplica({ db: path, leader: b, listen: a })
  const { role } = again
  await again.close()
  await delay(50)
  say({ round, twice, role, during, mine: db.open, theirs: handle.open, resources: resources() })
}
db.exec("INSERT INTO t (b) VALUES ('after')")
db.close()
say({ listeners: [before, listeners()] })
