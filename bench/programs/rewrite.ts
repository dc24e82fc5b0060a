/**
 * One commit that changes some of a database of the kind `pages`, or all of it: `spread` (so many
 * rows, evenly over the file), `update` (every row) or `vacuum`.
 */
import { openForWriting } from '../clients/sqlite.ts'
import { Flags, readyThenGo, report } from './program.ts'

const flags = new Flags(['where', 'what', 'rows'])
const db = openForWriting(flags.text('where'), 1000)

const changes: Readonly<Record<string, () => number>> = {
  spread: () => {
    const last = db.prepare('SELECT max(id) FROM pages').pluck().get() as number
    const rows = flags.number('rows')
    const update = db.prepare('UPDATE pages SET n = n + 1 WHERE id = ?')
    const change = db.transaction(() => {
      let changed = 0
      for (let i = 0; i < rows; i++)
        changed += update.run(1 + Math.floor((i * last) / rows)).changes
      return changed
    })
    return change()
  },
  update: () => db.prepare('UPDATE pages SET n = n + 1').run().changes,
  vacuum: () => {
    db.exec('VACUUM')
    return db.pragma('page_count', { simple: true }) as number
  },
}

const change = changes[flags.text('what')]
if (!change) throw new Error(`--what is one of ${Object.keys(changes).join(', ')}`)
await readyThenGo()
const fromMs = performance.now()
const changedPages = change()
report({ changedPages, elapsedMs: performance.now() - fromMs })
db.close()
