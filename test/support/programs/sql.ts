/**
 * One connection of better-sqlite3: each line of input is a JSON string with SQL, each line of
 * output a JSON object.
 */
import { createInterface } from 'node:readline'
import Database from 'better-sqlite3'
import { become } from './become.ts'
import { optionsOf, say } from './options.ts'

const { path, timeoutMs, uid, gid } = optionsOf<{
  path: string
  timeoutMs: number
  uid?: number
  gid?: number
}>()
if (uid !== undefined && gid !== undefined) become(uid, gid)
const db = new Database(path, { timeout: timeoutMs })

function run(sql: string): object {
  try {
    const statement = db.prepare(sql)
    if (statement.reader) return { rows: statement.raw().all() }
    db.exec(sql)
    return { rows: [] }
  } catch (error) {
    const code = error instanceof Database.SqliteError ? error.code : ''
    return { error: `${code} ${error instanceof Error ? error.message : String(error)}` }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const sql = JSON.parse(line) as string
  if (sql === '!close') break
  say(run(sql))
}
db.close()
process.exit(0)
