/**
 * A leader and a replica whose listeners throw at each event: the exceptions reach the process, and
 * replication goes on.
 */
import Database from 'better-sqlite3'
import { openLeader, openReplica } from '../../../src/embed/library.ts'
import { optionsOf, say } from './options.ts'

const { folder, addresses } = optionsOf<{ folder: string; addresses: [string, string] }>()
const [a, b] = addresses
let uncaught = 0
let failed = 0
process.on('uncaughtException', () => {
  uncaught++
})
const db = new Database(`${folder}/a.db`)
db.pragma('journal_mode = wal')
db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, b)')
const leader = await openLeader({ db, listen: a })
const replica = await openReplica({ db: `${folder}/b.db`, leader: a, listen: b })
for (const node of [leader, replica]) {
  node.on('position', () => {
    throw new Error('of a listener')
  })
  node.on('failed', () => {
    failed++
  })
}
await replica.ready()
const handle = replica.open()
const endMs = performance.now() + 10_000
let rows: unknown = 0
for (let i = 1; i <= 5; i++) {
  db.exec(`INSERT INTO t (b) VALUES (${i})`)
  while (performance.now() < endMs) {
    rows = handle.prepare('SELECT count(*) FROM t').pluck().get()
    if (rows === i) break
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
say({ rows, uncaught, failed, states: [leader.status.state, replica.status.state] })
await replica.close()
await leader.close()
db.close()
