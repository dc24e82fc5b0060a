/** The console's screen of settings, and the same on the command line: of a real node. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import type { Page } from 'playwright-core'
import type { OptionsAnswer } from '../../src/api/optionsInForce.ts'
import type { CreatedToken } from '../../src/api/tokens.ts'
import { parsePairingCode } from '../../src/security/pairingCode.ts'
import {
  ConsoleBrowser,
  openConsole,
  picture,
  requireNoOverflow,
} from '../support/consoleBrowser.ts'
import { campaignTest, type Lab, labTest } from '../support/lab.ts'
import { qrTextIn } from '../support/qrReader.ts'
import type { TestNode } from '../support/testNode.ts'
import { makeDatabase } from '../support/workload.ts'

const SECRET = 'S3CRET of sixteen characters and more'
const PATH = '/_walcast/options'
const MARKUP = '<img src=x onerror=alert(1)>'

async function start(lab: Lab) {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const config = lab.path('walcast.toml')
  const lines = [
    'drain = "3s"',
    'webhook = "http://127.0.0.1:9/S3CRET"',
    'on-role-change = "true --key S3CRET"',
    `drill-check = "select '${MARKUP}'"`,
    'log-level = "debug"',
    `backup = "${lab.path('archive')}"`,
  ]
  writeFileSync(config, `# of this host\n${lines.join('\n')}\n`)
  const environment = { WALCAST_SECRET: SECRET, WALCAST_READ_WAIT: '2500ms' }
  const flags = ['--name', 'node-a', '--config', config, '--write-wait', '45s']
  const leader = await lab.leader(db, { environment, flags })
  return { db, config, leader }
}

async function create(node: TestNode, role: string): Promise<string> {
  const answer = await node.post('/_walcast/tokens', { role })
  const { token }: CreatedToken = JSON.parse(answer.text)
  return token
}

async function run(lab: Lab, args: readonly string[], environment?: Record<string, string>) {
  const child = lab.cli(args, environment)
  child.expectEnd()
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

const option = (page: Page, name: string) =>
  page.getByRole('row').filter({ has: page.getByRole('rowheader', { name, exact: true }) })

labTest('options say where they came from, on every way and without a secret', async (lab) => {
  const { db, config, leader } = await start(lab)
  const read = await create(leader, 'read')
  const bearer = { authorization: `Bearer ${read}` }
  const told = await leader.get(PATH, bearer)
  const { options, keys }: OptionsAnswer = JSON.parse(told.text)
  const of = (name: string) => {
    const { value, origin } = options.find((each) => each.name === name) ?? {}
    return [value, origin?.from, origin?.detail]
  }
  assert.deepEqual(of('--drain'), ['3s', 'file', `${config}:2`])
  assert.deepEqual(of('--read-wait'), ['2500ms', 'environment', 'WALCAST_READ_WAIT'])
  assert.deepEqual(of('--write-wait'), ['45s', 'flag', '--write-wait'])
  assert.deepEqual(of('--hold'), [of('--hold')[0], 'default', ''])
  assert.deepEqual(of('--webhook'), ['http://127.0.0.1:9/…', 'file', `${config}:3`])
  assert.deepEqual(of('--log-level'), ['debug', 'file', `${config}:6`])
  assert.deepEqual(of('WALCAST_SECRET'), ['set', 'environment', 'WALCAST_SECRET'])
  assert.deepEqual(
    keys.map(({ kind }) => kind),
    ['secret', 'settings-key', 'certificate'],
  )
  assert.equal((await leader.get(PATH, { authorization: 'Bearer x' })).status, 401)

  const shown = await run(lab, ['config', '--db', db])
  assert.match(shown.out, new RegExp(`^--drain +3s +file ${config}:2$`, 'm'))
  assert.match(shown.out, /^cluster secret +[0-9a-f]{8} /m)
  assert.doesNotMatch(shown.out, /--hold/)
  const all = await run(lab, ['config', '--db', db, '--all', '--json'])
  const args = ['--db', db, '--config', config]
  const printed = await run(lab, ['node', ...args, '--print-config'], { WALCAST_SECRET: SECRET })
  assert.match(printed.out, /^WALCAST_SECRET +set +environment WALCAST_SECRET$/m)
  assert.match(printed.out, /^--on-role-change +true … +file /m)
  for (const { out } of [shown, all, printed, { out: told.text }])
    assert.ok(!out.includes('S3CRET'), out)
  const json: OptionsAnswer = JSON.parse(all.out)
  assert.equal(json.options.length, options.length)

  // Every mistake at once, and nothing is started.
  assert.equal((await run(lab, ['check-config', ...args])).code, 0)
  writeFileSync(config, 'dran = "3s"\nmax-waits = "many"\n')
  const wrong = await run(lab, ['check-config', ...args])
  assert.equal(wrong.code, 1)
  assert.match(wrong.err, /dran \(did you mean drain\?\); --max-waits wants a whole number/)
})

campaignTest(
  'settings in the console: tokens, keys, options; a pairing as a QR code',
  async (lab) => {
    const { config, leader } = await start(lab)
    const browser = await ConsoleBrowser.open(lab)
    const context = await browser.context(leader.url)
    const page = await openConsole(context, leader, await create(leader, 'admin'))
    await page.getByRole('link', { name: 'Settings' }).click()
    await page.getByRole('heading', { level: 1, name: 'Settings' }).waitFor()

    // A token, by keyboard alone.
    await page.getByLabel('Note').fill('the grafana')
    await page.getByRole('button', { name: 'Create a token' }).focus()
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog')
    await dialog.getByText("walcast token create --role read --note 'the grafana'").waitFor()
    await dialog.getByRole('button', { name: 'Create', exact: true }).focus()
    await page.keyboard.press('Enter')
    await dialog.getByText(/^wct_/).waitFor()
    await dialog.getByRole('button', { name: 'Close' }).click()
    const made = page.getByRole('row').filter({ hasText: 'the grafana' })
    await made.waitFor()

    // Options: what differs, where it comes from, found by a word.
    await option(page, '--drain').getByText(`file ${config}:2`).waitFor()
    assert.equal(await option(page, '--drain').getByText('set', { exact: true }).count(), 1)
    await option(page, '--drain').getByText('default 10s').waitFor()
    assert.equal(await option(page, '--hold').getByText('set', { exact: true }).count(), 0)
    await picture(page, 'settings')
    await page.getByRole('link', { name: 'Options of this node' }).click()
    await page.getByLabel('Filter').fill('webhook gets a post')
    await page.getByText(/^1 of \d+ options$/).waitFor()
    await option(page, '--webhook').getByText('http://127.0.0.1:9/…').waitFor()
    await page.getByLabel('Filter').fill('no such thing')
    await page.getByText(/^0 of /).waitFor()
    await page.getByLabel('Filter').fill('')
    await page.getByLabel('Only what differs').check()
    await option(page, '--hold').waitFor({ state: 'detached' })
    await option(page, '--drill-check').getByText(MARKUP).waitFor()
    assert.equal(await page.locator('main img').count(), 0)
    await picture(page, 'settings-changed')
    assert.ok(!(await page.content()).includes('S3CRET'))
    await page.setViewportSize({ width: 320, height: 700 })
    await requireNoOverflow(page)

    // A pairing: a camera reads what the command line would print.
    await page.setViewportSize({ width: 1280, height: 900 })
    await page.getByRole('link', { name: 'Cluster' }).click()
    await page.getByRole('button', { name: 'Pair a new node' }).click()
    await dialog.getByRole('button', { name: 'Make a code' }).click()
    const command = (await dialog.getByText('walcast join').textContent()) ?? ''
    await picture(page, 'pairing')
    assert.equal(await qrTextIn(dialog.locator('.qr')), command)
    await page.emulateMedia({ colorScheme: 'dark' })
    assert.equal(await qrTextIn(dialog.locator('.qr')), command)
    const [walcast, join, code, ...rest] = command.split(' ')
    const asPrinted = 'walcast join --db FILE --listen HOST:PORT'
    assert.equal([walcast, join, ...rest].join(' '), asPrinted)
    assert.equal(parsePairingCode(code).address, leader.address)
    await dialog.getByRole('button', { name: 'Close' }).click()
    await page.getByText(code).waitFor({ state: 'detached' })

    // Whoever may only read sees options and keys, and why there is no list of tokens.
    const reader = await openConsole(
      await browser.context(leader.url),
      leader,
      await create(leader, 'read'),
    )
    await reader.goto(`${leader.url}/_walcast/#/settings/options`)
    await option(reader, '--drain').waitFor()
    await reader.getByText('this needs the role admin').first().waitFor()
    await reader.getByRole('row').filter({ hasText: 'Cluster secret' }).waitFor()
    const weak = reader.getByRole('button', { name: 'Create a token' })
    assert.equal(await weak.getAttribute('aria-disabled'), 'true')
    assert.equal(await reader.getByText('the grafana').count(), 0)
    browser.requireNoFaults()
  },
)
