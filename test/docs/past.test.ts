/** Follows docs/backup/past.md: each of its commands, and what it shows of their output. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { programPath } from '../../src/programs.ts'
import { storePast } from '../support/pastArchives.ts'

const PAGE = readFileSync(
  fileURLToPath(new URL('../../../docs/backup/past.md', import.meta.url)),
  'utf8',
)
const HOUR_MS = 3_600_000
const STEPS = [
  'CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total INTEGER)',
  `INSERT INTO orders (customer, total)
    SELECT CASE n % 3 WHEN 1 THEN 'Ada' ELSE 'Eve' END, 10 * n FROM generate WHERE n <= 11`,
  'UPDATE orders SET total = 21 WHERE id = 2',
  "DELETE FROM orders WHERE customer = 'Ada'",
  "INSERT INTO orders VALUES (4, 'Bob', 44); UPDATE orders SET total = 22 WHERE id = 2",
]

const folder = mkdtempSync(join(tmpdir(), 'walcast-past-page-'))
after(() => rmSync(folder, { recursive: true, force: true }))

interface Shown {
  readonly args: readonly string[]
  readonly hasFile: boolean
  readonly output: readonly string[]
}

/** Commands after `$ `, each with the lines that the page shows behind it. */
function shownIn(page: string): Shown[] {
  const shown: { args: string[]; hasFile: boolean; output: string[] }[] = []
  let isIn = false
  for (const line of page.split('\n')) {
    if (line.startsWith('    $ walcast ')) {
      const [command, file] = line.slice(14).split(' > ')
      const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, a, b]) => a ?? b)
      shown.push({ args: words, hasFile: file !== undefined, output: [] })
      isIn = true
    } else if (isIn && line.startsWith('    ')) shown[shown.length - 1].output.push(line.slice(4))
    else isIn = false
  }
  return shown
}

const masked = (text: string) =>
  text.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [+-]\d\d:\d\d/g, 'TIME')

test('the commands of the page on the past show what it says', async () => {
  const source = join(folder, 'source.db')
  const store = new DirectoryStore(join(folder, 'backup'), systemFileOps)
  const options = { beginMs: Date.now() - 11 * HOUR_MS, everyMs: 2 * HOUR_MS - 60_000 }
  await storePast(store, source, STEPS, options)
  const live = join(folder, 'app.db')
  copyFileSync(source, live)
  const commands = shownIn(PAGE)
  assert.ok(commands.length >= 7)
  let sql = ''
  for (const { args, hasFile, output } of commands) {
    const own = args.map((arg) => arg.replace(/^\/srv\//, `${folder}/`))
    const { stdout, stderr } = spawnSync(process.execPath, [programPath('cli/main'), ...own], {
      cwd: folder,
      encoding: 'utf8',
    })
    if (hasFile) sql = stdout
    const said = `${hasFile ? '' : stdout}${stderr}`
    assert.deepEqual(masked(said).trimEnd().split('\n'), output.map(masked), args.join(' '))
  }
  const db = new Database(live)
  const rows = db.prepare('SELECT * FROM orders WHERE id % 3 = 1 ORDER BY id').raw().all()
  assert.deepEqual(rows, [
    [1, 'Ada', 10],
    [4, 'Bob', 44],
    [7, 'Ada', 70],
    [10, 'Ada', 100],
  ])
  db.close()
  // The SQL does the same in another SQLite.
  const other = join(folder, 'other.db')
  copyFileSync(source, other)
  const python = process.env['PYTHON'] ?? 'python3'
  const program =
    'import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.stdin.read())'
  const run = spawnSync(python, ['-c', program, other], { input: sql, encoding: 'utf8' })
  assert.equal(run.status, 0, run.stderr)
  const done = new Database(other)
  assert.equal(done.prepare('SELECT count(*) FROM orders').pluck().get(), 11)
  done.close()
})
