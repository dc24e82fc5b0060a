/**
 * Follows docs/application/settings.md: its commands with the output that it shows, its tables, and
 * its Python program, which reads what walcast wrote and writes what walcast reads.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { type Kek, Keyring, keyring, newKek } from '../../src/security/keyring.ts'
import { settings } from '../../src/settings/settings.ts'
import type { SettingValue } from '../../src/settings/settingValue.ts'
import { type Lab, labTest } from '../support/lab.ts'

const PAGE = readFileSync(
  fileURLToPath(new URL('../../../docs/application/settings.md', import.meta.url)),
  'utf8',
)

function blockOf(language: string): string {
  const block = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\n\`\`\``).exec(PAGE)?.[1]
  assert.ok(block, language)
  return block
}

/** Commands after `$ `, with the lines below them. */
function shown(): { readonly command: string; readonly output: string[] }[] {
  const found: { command: string; output: string[] }[] = []
  const prose = PAGE.replace(/^```[\s\S]*?^```$/gm, '')
  for (const [, line] of prose.matchAll(/^ {4}(.*)$/gm)) {
    if (line.startsWith('$ ')) found.push({ command: line.slice(2), output: [] })
    else found.at(-1)?.output.push(line)
  }
  return found
}

function writeKeys(db: string, keks: readonly Kek[]): void {
  mkdirSync(`${db}-walcast/keys`, { recursive: true, mode: 0o700 })
  writeFileSync(`${db}-walcast/keys/cluster.json`, JSON.stringify({ keks }), { mode: 0o600 })
}

function newDatabase(lab: Lab): { readonly path: string; readonly db: Database.Database } {
  const path = lab.path('app.db')
  const db = new Database(path)
  lab.atEnd(() => void db.close())
  db.pragma('journal_mode = wal')
  return { path, db }
}

labTest('the commands of the page give the output that it shows', async (lab) => {
  const { path, db } = newDatabase(lab)
  const first = newKek()
  writeKeys(path, [first])
  writeFileSync(lab.path('settings.json'), '{"a": "text", "b": [1, {"c": null}]}')
  const commands = shown().filter(({ command }) => command.includes('walcast settings '))
  assert.ok(commands.length >= 8)
  for (const { command, output } of commands) {
    if (command.includes(' rotate'))
      writeKeys(path, [first, { ...newKek(), createdAt: '2100-01-01' }])
    const [, input, words] = /^(?:echo (\S+) \| )?walcast (.*)$/.exec(command) ?? []
    const args = words.split(' ').map((word) => (word.endsWith('.json') ? lab.path(word) : word))
    const child = lab.cli(args, { WALCAST_DB: path })
    if (input) child.write(input)
    child.closeInput()
    child.expectEnd()
    assert.equal((await child.ended).code, 0, child.tail())
    if (command.endsWith('--json')) JSON.parse(child.out.join('\n'))
    else assert.deepEqual(child.out, output, command)
  }
  const store = settings(db, keyring(path))
  assert.deepEqual([store.get('a'), store.get('b')], ['text', [1, { c: null }]])
})

labTest('the page shows the tables as they are made', async (lab) => {
  const { db } = newDatabase(lab)
  const columns = (table: string) =>
    db.prepare(`SELECT * FROM pragma_table_info('${table}')`).raw().all()
  const tables = ['walcast_settings', 'walcast_settings_keys']
  db.exec(blockOf('sql'))
  const shownColumns = tables.map(columns)
  for (const table of tables) db.exec(`DROP TABLE ${table}`)
  settings(db).set('a', 'x')
  assert.deepEqual(tables.map(columns), shownColumns)
  assert.ok(shownColumns.every((table) => table.length === 5))
})

const VALUES: Readonly<Record<string, SettingValue>> = {
  text: 'ü 😀 "quoted"',
  empty: '',
  'ñame with\u00a0spaces': 'x',
  bytes: Buffer.from([0, 1, 255]),
  'no bytes': Buffer.alloc(0),
  object: { a: [1, 2.5, null, true, 'ü'], b: {} },
  number: -7,
  nothing: null,
}

interface Answer {
  readonly answer?: unknown
  readonly error?: string
}

async function python(lab: Lab, database: string, steps: readonly object[]): Promise<Answer[]> {
  const module = lab.path('program.py')
  writeFileSync(module, blockOf('python'))
  const child = lab.python('settings', { module, database, steps })
  child.expectEnd()
  assert.equal((await child.ended).code, 0, child.tail())
  return child.out.map((line) => JSON.parse(line))
}

const inJson = (value: SettingValue) =>
  Buffer.isBuffer(value) ? { base64: value.toString('base64') } : value

labTest('the Python program of the page reads what walcast wrote', async (lab) => {
  const { path, db } = newDatabase(lab)
  const [old, latest] = [{ ...newKek(), createdAt: 1000 }, newKek()]
  writeKeys(path, [latest, old])
  const byOld = settings(db, Keyring.of([old]))
  const store = settings(db, keyring(path))
  const wanted: unknown[] = []
  const steps: object[] = []
  for (const [i, by] of [byOld, byOld, store].entries())
    for (const [name, value] of Object.entries(VALUES)) {
      by.set(`${i} ${name}`, value, { encrypt: i > 0 })
      steps.push({ get: `${i} ${name}` })
      wanted.push({ answer: inJson(value) })
    }
  steps.push({ get: 'missing' })
  wanted.push({ answer: null })
  db.exec(`UPDATE walcast_settings SET value = (SELECT value FROM walcast_settings
WHERE name = '2 text') WHERE name = '2 empty'`)
  wanted[steps.findIndex((step) => Object.values(step)[0] === '2 empty')] = { error: 'InvalidTag' }
  assert.deepEqual(await python(lab, path, steps), wanted)
})

labTest('walcast reads what the Python program of the page wrote', async (lab) => {
  const { path, db } = newDatabase(lab)
  writeKeys(path, [newKek()])
  db.exec(blockOf('sql'))
  const store = settings(db, keyring(path))
  const plan = Object.entries(VALUES).flatMap(([name, value]) =>
    [false, true].map((encrypt) => ({ name: `${encrypt} ${name}`, value, encrypt })),
  )
  const steps = plan.map(({ name, value, encrypt }) => ({
    set: name,
    value: inJson(value),
    encrypt,
  }))
  for (const { name } of plan) assert.equal(store.get(name), undefined)
  const answers = await python(lab, path, steps)
  assert.deepEqual(new Set(answers.map(({ answer }) => answer)), new Set(['written']))
  for (const { name, value, encrypt } of plan) {
    assert.deepEqual(store.get(name), value, name)
    const [{ encrypted }] = store.list({ prefix: name, limit: 1 })
    assert.equal(encrypted, encrypt)
  }
  // Both go on with one data key.
  store.set('ours', 'x', { encrypt: true })
  await python(lab, path, [{ set: 'theirs', value: 'y', encrypt: true }])
  assert.equal(db.prepare('SELECT count(*) FROM walcast_settings_keys').pluck().get(), 1)
  assert.deepEqual([store.get('ours'), store.get('theirs')], ['x', 'y'])
})
