/**
 * Two nodes that both led, and the rows of the one that gave way: seen, brought back and deleted in
 * a browser.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import type { Page } from 'playwright-core'
import {
  ConsoleBrowser,
  openConsole,
  picture,
  requireNoOverflow,
} from '../support/consoleBrowser.ts'
import { compared } from '../support/keptPair.ts'
import { campaignTest, type Lab, waitLevel } from '../support/lab.ts'
import { promote } from '../support/leadership.ts'
import { PYTHON } from '../support/paths.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const OPTIONS = { environment: { WALCAST_SECRET: 'a secret of sixteen characters and more' } }
const MARKUP = '<img src=x onerror=alert(1)>'
const TABLE = '"<b>notes"'
/** Applies a script as an operator's shell does: it stops at the first error. */
const APPLY = `import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60)
db.executescript(sys.stdin.read())
db.close()`

const named = (name: string) => ({ ...OPTIONS, flags: ['--peer-look', '200ms', '--name', name] })

/** Both led, and wrote what the other lacks. `old` follows `leader` now. */
async function split(lab: Lab): Promise<{ leader: TestNode; old: TestNode }> {
  const db = lab.path('a.db')
  await makeDatabase(lab, db)
  await lab.exec(
    db,
    `CREATE TABLE ${TABLE} (id INTEGER PRIMARY KEY, body TEXT, extra BLOB)`,
    `INSERT INTO ${TABLE} VALUES (1, 'of both', NULL)`,
  )
  const first = await lab.leader(db, named('node-a'))
  const second = await lab.replica(lab.path('b.db'), first, named('node-b'))
  await waitLevel(first, second)
  await second.stop('SIGKILL')
  await lab.exec(
    db,
    `UPDATE ${TABLE} SET body = 'mine' WHERE id = 1`,
    `INSERT INTO ${TABLE} VALUES (2, '${MARKUP}', x'00ff'), (3, 'NULL', NULL)`,
    "INSERT INTO log (who) VALUES ('lost')",
  )
  await first.settled()
  await first.stop('SIGKILL')
  const leader = await lab.restart(second, {}, 'node')
  await promote(leader, { force: true })
  await lab.exec(leader.db, `UPDATE ${TABLE} SET body = 'theirs' WHERE id = 1`)
  const old = await lab.restart(first, {}, 'node')
  await waitLevel(leader, old)
  return { leader, old }
}

async function create(leader: TestNode, old: TestNode, role: string): Promise<string> {
  const { token } = JSON.parse((await leader.post('/_walcast/tokens', { role })).text)
  await until('the other node knows it', async () => {
    const headers = { authorization: `Bearer ${token}` }
    return (await old.get('/_walcast/status', headers)).status === 200
  })
  return token
}

const rowOf = (page: Page, key: string) =>
  page.locator('.kept-row').filter({ has: page.getByText(`<b>notes, id ${key}`) })

/** Without a pointer. */
async function press(page: Page, name: string, key = 'Enter'): Promise<void> {
  await page.getByRole('button', { name, exact: true }).focus()
  await page.keyboard.press(key)
}

/** What the commands of docs/operating/split-rows.md print. */
async function requireCommands(lab: Lab, { db }: TestNode, name: string): Promise<void> {
  const run = async (...args: readonly string[]) => {
    const child = lab.cli(['diverged', ...args, '--db', db])
    const { code } = await child.ended
    return { code, out: child.out.join('\n'), said: child.tail() }
  }
  const list = await run('list', '--wide')
  assert.match(list.out, new RegExp(`${name}.*3 that the leader lacks, 1 that differ there.*notes`))
  const rows = await run('rows', name, '--table', '<b>notes', '--wide')
  assert.match(rows.out, /<b>notes +body +'mine' +'theirs' +'theirs'/)
  assert.match(rows.out, /<b>notes +body +'NULL' +- +-/)
  assert.match(rows.out, /<b>notes +extra +NULL +- +-/)
  const dry = await run('delete', name, '--dry-run')
  assert.match(dry.out, new RegExp(`^would remove ${name}: 3 that the leader lacks`))
  const wrong = await run('delete', '../..')
  assert.equal(wrong.code, 1)
  assert.match(wrong.said, /WALCAST_BUNDLE_GONE/)
}

campaignTest('rows of a node that gave way: side by side, as SQL, deleted', async (lab) => {
  const { leader, old } = await split(lab)
  const kept = await compared(old)
  assert.deepEqual(kept.rows, { removed: 3, changed: 1, added: 0 })
  const [operate, read] = [await create(leader, old, 'operate'), await create(leader, old, 'read')]
  const browser = await ConsoleBrowser.open(lab)
  const page = await openConsole(await browser.context(old.url), old, operate)
  const menu = page.getByRole('link', { name: /^Diverged/ })
  assert.match((await menu.textContent()) ?? '', /Diverged 1$/)
  await menu.focus()
  await page.keyboard.press('Enter')
  await page.getByRole('link', { name: kept.position }).focus()
  await page.keyboard.press('Enter')
  await page.locator('.kept-row').nth(3).waitFor()
  assert.equal(await page.locator('main img, main b').count(), 0)

  const filter = page.getByRole('combobox', { name: 'Table' })
  // One table, of which each value is told from what looks like it.
  await filter.selectOption('<b>notes')
  await until('the filter works', async () => (await page.locator('.kept-row').count()) === 3)
  const first = rowOf(page, '1')
  assert.deepEqual(await first.locator('tr:nth-child(2) td').allTextContents(), [
    "'mine'",
    "≠ 'theirs'",
    "≠ 'theirs'",
  ])
  await first.getByText('differs here').waitFor()
  const third = rowOf(page, '3')
  assert.deepEqual(await third.locator('tr td:nth-child(2)').allTextContents(), [
    '3',
    "'NULL'",
    'NULL',
  ])
  assert.match((await rowOf(page, '2').textContent()) ?? '', /x'00ff' 2 bytes/)
  await picture(page, 'diverged')
  await page.setViewportSize({ width: 320, height: 700 })
  await requireNoOverflow(page)
  await page.setViewportSize({ width: 1280, height: 900 })

  // The SQL is that of the command line, and any SQLite runs it.
  await page.getByLabel('Choose all on this page').focus()
  await page.keyboard.press('Space')
  await page.getByText('3 rows of this bundle chosen').waitFor()
  await press(page, 'SQL of the chosen rows')
  await page.getByText('2 rows inserted, 1 row in conflict').waitFor()
  const sql = (await page.locator('.sql code').textContent()) ?? ''
  const command = (await page.locator('.command:not(.sql) code').textContent()) ?? ''
  const cli = lab.cli([...command.split(' ').slice(1), '--db', old.db])
  assert.equal((await cli.ended).code, 0, cli.tail())
  assert.equal(cli.out.join('\n').trim(), sql.trim())
  await picture(page, 'diverged-sql')
  await requireCommands(lab, old, kept.name)
  execFileSync(PYTHON, ['-c', APPLY, leader.db], { input: sql })
  await waitLevel(leader, old)
  await press(page, 'Read again')
  await page.getByText('is here again').nth(1).waitFor()

  // Who may only look sees what there is, and why there is no more.
  const other = await openConsole(await browser.context(old.url), old, read)
  await other.goto(`${old.url}/_walcast/#/diverged/${kept.name}`)
  await other.getByText('this needs the role operate').first().waitFor()
  assert.equal(await other.locator('.kept-row').count(), 0)

  // Another node says who keeps rows aside.
  const elsewhere = await openConsole(await browser.context(leader.url), leader, operate)
  await elsewhere.goto(`${leader.url}/_walcast/#/diverged`)
  await elsewhere.getByText('Other nodes keep rows aside: node-a (1 bundle)').waitFor()

  await press(page, 'Delete this bundle…')
  const dialog = page.getByRole('dialog')
  await dialog.getByText('Table <b>notes: 2 rows that the leader lacked').waitFor()
  await dialog.getByText(`walcast diverged delete ${kept.name}`).waitFor()
  await picture(page, 'diverged-delete')
  await dialog.getByRole('checkbox').focus()
  await page.keyboard.press('Space')
  await press(page, 'Delete the bundle')
  await dialog.getByText('is gone').waitFor()
  await page.keyboard.press('Escape')
  await page.getByText('No rows are kept aside on this node.').waitFor()
  await picture(page, 'diverged-empty')
  assert.deepEqual(readdirSync(`${old.db}-walcast/diverged`), [])
  const { audit = [] } = await old.status()
  const entry = audit.find(({ action }) => action === 'drop-bundle')
  assert.match(`${entry?.outcome} ${entry?.by}`, /^done console \(token/)
  browser.requireNoFaults()
})
