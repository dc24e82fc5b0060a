/** The screen Backups in a real browser: the past of the archive of a real node. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { CreatedToken } from '../../src/api/tokens.ts'
import { pageSum } from '../../src/sqlite/pageSums.ts'
import { checksumHex } from '../../src/xxh64.ts'
import { archived, restorable, type Told } from '../support/archiving.ts'
import { ConsoleBrowser, openConsole, picture } from '../support/consoleBrowser.ts'
import { campaignTest, type Lab, labTest } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const PAGE_SIZE = 4096
/** Commands name whole seconds. */
const SPREAD_MS = 2500
const SECRET = { WALCAST_SECRET: 'a secret of sixteen characters and more' }
const ROWS = 'SELECT id, who FROM log ORDER BY id'

interface Moment extends Told {
  readonly position: string
  readonly atMs: number
  readonly rows: unknown
}

async function create(node: TestNode, role: string): Promise<string> {
  const { token }: CreatedToken = JSON.parse((await node.post('/_walcast/tokens', { role })).text)
  return token
}

function startOn(lab: Lab, ...flags: readonly string[]): Promise<TestNode> {
  const archive = ['--backup', lab.path('archive'), '--backup-every', '100ms', '--keep-every', '1s']
  const reserve = ['--drill-reserve', '1MiB']
  const all = ['--name', 'node-a', ...archive, ...reserve, ...flags]
  return lab
    .leader(lab.path('app.db'), { environment: SECRET, flags: all })
    .then((node) => node.ready())
}

/** Commits until they span some seconds; what was there after each, as the archive dates it. */
async function history(lab: Lab, node: TestNode): Promise<Moment[]> {
  const sql = lab.sql(node.db)
  const moments: Moment[] = []
  while ((moments.at(-1)?.atMs ?? 0) - (moments[0]?.atMs ?? 0) < SPREAD_MS) {
    await sql.rows(`INSERT INTO log (who) VALUES ('<b>commit ${moments.length}')`)
    const told = await archived(node)
    const { position = '', at = '' } = restorable(await node.status()) ?? {}
    moments.push({ ...told, position, atMs: Date.parse(at), rows: await sql.rows(ROWS) })
  }
  await sql.close()
  return moments
}

/** XOR over its pages, as the archive has it. */
function checksumOf(path: string): string {
  const bytes = readFileSync(path)
  let state = 0n
  for (let at = 0; at < bytes.length; at += PAGE_SIZE)
    state ^= pageSum(at / PAGE_SIZE + 1, bytes.subarray(at, at + PAGE_SIZE))
  return checksumHex(state)
}

/** What Python's SQLite finds in a file. */
async function found(lab: Lab, path: string) {
  const sql = lab.sql(path, { readOnly: true })
  const rows = await sql.rows(ROWS)
  const check = await sql.rows('PRAGMA integrity_check')
  await sql.close()
  return { rows, check }
}

async function confirm(page: Page, button: string): Promise<void> {
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('button', { name: button, exact: true }).click()
  await dialog.getByText('It has begun').waitFor()
  await dialog.getByRole('button', { name: 'Close' }).click()
}

campaignTest('a moment picked on the line is asked, restored and downloaded', async (lab) => {
  await makeDatabase(lab, lab.path('app.db'), { pageSize: PAGE_SIZE })
  const node = await startOn(lab, '--drill', 'off')
  const moments = await history(lab, node)
  const browser = await ConsoleBrowser.open(lab)
  const context = await browser.context(node.url)
  const page = await openConsole(context, node, await create(node, 'operate'))
  await page.goto(`${node.url}/_walcast/#/backups`)
  const slider = page.getByLabel('Pick a moment')
  // The first round of the policy tells how far the archive reaches back.
  await slider.waitFor()
  await page.getByText('every position').waitFor()
  await slider.fill('700')
  const command = page.locator('.command code').filter({ hasText: 'walcast at' })
  const shown = (await command.textContent()) ?? ''
  const pickedMs = Date.parse(/walcast at (\S+Z) /.exec(shown)?.[1] ?? '')
  const picked = moments.findLast(({ atMs }) => atMs <= pickedMs)
  assert.ok(picked, `${shown}: none of ${JSON.stringify(moments.map(({ atMs }) => atMs))}`)
  assert.notEqual(picked, moments.at(-1))

  // It stays picked while the archive grows.
  await lab.exec(node.db, "INSERT INTO log (who) VALUES ('later')")
  await archived(node)
  assert.equal(await command.textContent(), shown)

  await page
    .getByLabel('A query on the database')
    .fill("SELECT count(*) AS n, (SELECT who FROM log ORDER BY id DESC), NULL, x'00ff' FROM log")
  await page.keyboard.press('Control+Enter')
  await page.getByText(`1 row at position ${picked.position}`).waitFor()
  const cells = page.locator('.rows td')
  const n = Array.isArray(picked.rows) ? picked.rows.length : 0
  assert.deepEqual(await cells.allTextContents(), [
    String(n),
    `<b>commit ${n - 1}`,
    'NULL',
    "x'00ff'",
  ])
  assert.equal(await page.locator('.rows td b').count(), 0)
  await picture(page, 'backups-query')
  const csvComing = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Save as CSV' }).click()
  const csv = await csvComing
  assert.equal(csv.suggestedFilename(), `past-${picked.position}.csv`)
  await csv.saveAs(lab.path('past.csv'))
  const [, line] = readFileSync(lab.path('past.csv'), 'utf8').split('\r\n')
  assert.equal(line, `${n},<b>commit ${n - 1},,00ff`)
  await page.getByLabel('A query on the database').fill('DELETE FROM log')
  await page.getByRole('button', { name: 'Ask the past' }).click()
  await page.getByText('not authorized').waitFor()
  // The browser itself tells of the status.
  await until('it is told', () => browser.faults.length > 0)
  assert.match(
    browser.faults.splice(0).join(),
    /^the page says: Failed .* a status of 400 \S+ \S+$/,
  )

  await page.getByRole('button', { name: 'Restore to a file…' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText(`Position ${picked.position} of`).waitFor()
  await dialog.getByText('Reads ').waitFor()
  await dialog.getByText('walcast restore --from').waitFor()
  await picture(page, 'backups-restore-plan')
  await confirm(page, 'Restore')
  await page.getByText('Done, and verified.').waitFor()
  await page.getByText(`${picked.checksum}, as archived`).waitFor()
  await picture(page, 'backups-restored')
  const path = join(`${node.db}-walcast`, 'restored', 'restored.db')
  assert.deepEqual((await found(lab, path)).rows, picked.rows)
  assert.equal(checksumOf(path), picked.checksum)

  // What is there is replaced only when that is accepted.
  await page.getByRole('button', { name: 'Restore to a file…' }).click()
  const replace = dialog.getByRole('button', { name: 'Replace', exact: true })
  await replace.waitFor()
  assert.equal(await replace.getAttribute('aria-disabled'), 'true')
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })

  await page.getByRole('button', { name: 'Download…' }).click()
  await dialog.getByText(`Position ${picked.position} of`).waitFor()
  await confirm(page, 'Prepare the download')
  const link = page.getByRole('link', { name: `Save app-${picked.position}.db` })
  await link.waitFor()
  await picture(page, 'backups-download')
  const coming = page.waitForEvent('download')
  await link.click()
  const saved = await coming
  assert.equal(saved.suggestedFilename(), `app-${picked.position}.db`)
  assert.ok(!saved.url().includes('wct_'))
  const own = lab.path('downloaded.db')
  await saved.saveAs(own)
  const { rows, check } = await found(lab, own)
  assert.deepEqual(rows, picked.rows)
  assert.match(JSON.stringify(check), /"ok"/)
  assert.equal(checksumOf(own), picked.checksum)
  await page.getByText('Sent, and removed here.').waitFor()
  assert.equal(existsSync(join(`${node.db}-walcast`, 'restored', '.restoring-node-a')), false)

  await page.getByRole('button', { name: 'See what it holds' }).click()
  await page.getByText('Level 0').waitFor()
  await page.getByText('Snapshots (').waitFor()
  await picture(page, 'backups-contents')

  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByLabel('Token').fill(await create(node, 'read'))
  await page.keyboard.press('Enter')
  await page.getByText('Your role is read; this needs the role operate.').first().waitFor()
  const download = page.getByRole('button', { name: 'Download…' })
  assert.equal(await download.getAttribute('aria-disabled'), 'true')
  browser.requireNoFaults()
})

labTest('a drill that fails is told on the page, and so is one that is mended', async (lab) => {
  await makeDatabase(lab, lab.path('app.db'))
  const isMended = "SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'mended'"
  const node = await startOn(lab, '--drill', '* * * * * *', '--drill-check', isMended)
  const browser = await ConsoleBrowser.open(lab)
  const page = await openConsole(await browser.context(node.url), node, await create(node, 'read'))
  await page.goto(`${node.url}/_walcast/#/backups`)
  await page.getByText('The last drill failed').waitFor()
  await picture(page, 'backups-drill-failed')
  await lab.exec(node.db, 'CREATE TABLE mended (a)')
  await page.getByText('The last drill failed').waitFor({ state: 'detached' })
  await until('it is proven', async () => {
    const text = await page.getByRole('main').textContent()
    return /Proven.*up to \d+-\d+/.test(text ?? '')
  })
  browser.requireNoFaults()
})
