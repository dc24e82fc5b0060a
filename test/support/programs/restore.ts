/** The same as py/restore.py with the SQLite of better-sqlite3. */
import Database from 'better-sqlite3'
import { optionsOf, say } from './options.ts'

const options = optionsOf<{ from: string; to: string }>()
const source = new Database(options.from, { timeout: 20_000 })
await source.backup(options.to)
source.close()
say({ done: true })
process.exit(0)
