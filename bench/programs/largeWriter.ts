/**
 * Commits large transactions: each changes `pages` pages spread over the whole database, by rows
 * that fill a page each, and inserts the row that a reader watches for.
 */
import { openForWriting } from '../clients/sqlite.ts'
import { EventLog, WRITTEN_WIDTH } from '../eventLog.ts'
import { Flags, readyThenGo, report } from './program.ts'

const flags = new Flags([
  'client',
  'where',
  'first-id',
  'transactions',
  'pages',
  'autocheckpoint',
  'log',
])
const firstId = flags.number('first-id')
const transactions = flags.number('transactions')
const pages = flags.number('pages')
const db = openForWriting(flags.text('where'), flags.number('autocheckpoint'))
db.pragma('cache_size = -262144')
const rows = db.prepare('SELECT count(*) FROM pages').pluck().get() as number
const stride = Math.max(1, Math.floor(rows / pages))
const update = db.prepare('UPDATE pages SET n = n + 1 WHERE id % :stride = :at')
const mark = db.prepare('INSERT INTO t(id) VALUES (?)')
const log = new EventLog(WRITTEN_WIDTH, transactions)
let changed = 0
const change = db.transaction((id: number) => {
  changed += update.run({ stride, at: (id * 7) % stride }).changes
  mark.run(id)
})

await readyThenGo()
const startNs = process.hrtime.bigint()
for (let id = firstId; id < firstId + transactions; id++) {
  const begunNs = process.hrtime.bigint()
  change(id)
  log.add(BigInt(id), begunNs, begunNs, process.hrtime.bigint())
}
const endNs = process.hrtime.bigint()
log.save(flags.text('log'))
report({ changedPages: changed, elapsedMs: Number(endNs - startNs) / 1e6 })
db.close()
