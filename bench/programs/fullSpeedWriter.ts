/** Inserts as fast as it can, one small commit a row, and says how many there were. */
import { Flags, openForWriting, readyThenGo, report } from './program.ts'

const flags = new Flags(['db', 'seconds', 'value-bytes', 'autocheckpoint'])
const durationNs = BigInt(Math.round(flags.number('seconds') * 1e9))
const db = openForWriting(flags.text('db'), flags.number('autocheckpoint'))
const insert = db.prepare('INSERT INTO t(v) VALUES (?)')
const value = Buffer.alloc(flags.number('value-bytes'), 0x61)

await readyThenGo()
const startNs = process.hrtime.bigint()
let endNs = startNs
let commits = 0
while (endNs - startNs < durationNs) {
  for (let i = 0; i < 16; i++) insert.run(value)
  commits += 16
  endNs = process.hrtime.bigint()
}
report({ commits, elapsedMs: Number(endNs - startNs) / 1e6, endNs: String(endNs) })
db.close()
