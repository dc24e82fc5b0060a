/** The console of real nodes in a real browser. */
import assert from 'node:assert/strict'
import type { Locator, Page } from 'playwright-core'
import type { CreatedToken } from '../../src/api/tokens.ts'
import { newToken } from '../../src/security/token.ts'
import {
  ConsoleBrowser,
  openConsole,
  picture,
  requireNoOverflow,
} from '../support/consoleBrowser.ts'
import { inaccessible } from '../support/consoleChecks.ts'
import { campaignTest, type Lab, labTest, waitLevel } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const OPTIONS = {
  environment: { WALCAST_SECRET: 'a secret of sixteen characters and more' },
  flags: ['--peer-look', '200ms'],
}
/** A file may be called so, and the page shows its name. */
const MARKUP = '<img src=x onerror=alert(1)><b>copy.db'

async function create(node: TestNode, role: string): Promise<string> {
  const answer = await node.post('/_walcast/tokens', { role })
  const { token }: CreatedToken = JSON.parse(answer.text)
  return token
}

async function startPair(lab: Lab) {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const named = (name: string) => ({ ...OPTIONS, flags: [...OPTIONS.flags, '--name', name] })
  const leader = await lab.leader(db, named('node-a'))
  const { flags, ...rest } = named('node-b')
  const standby = await lab.replica(lab.path(MARKUP), leader, {
    ...rest,
    flags: [...flags, '--standby', '--backup', lab.path('archive')],
  })
  await waitLevel(leader, standby)
  return { leader, standby }
}

const figure = (page: Page, label: string) =>
  page.locator('.figure').filter({ hasText: label }).locator('.value')

/** Not the title of a drawing, which only a pointer shows. */
const visible = (locator: Locator) => locator.filter({ visible: true }).first()

/** What each screen of a node that leads shows, to whoever may operate and is no admin. */
async function visitScreens(page: Page, node: TestNode): Promise<void> {
  const shown = async (id: string, heading: string, ...texts: readonly string[]) => {
    await page.goto(`${node.url}/_walcast/#/${id}`)
    const main = page.getByRole('main')
    await main.getByRole('heading', { level: 1, name: heading }).waitFor()
    for (const text of texts) await visible(main.getByText(text)).waitFor()
    await picture(page, id)
  }
  await shown('cluster', 'Cluster', 'node-a', 'node-b', 'Switch over', 'this needs the role admin')
  await shown('lag', 'Lag', 'the slowest replica that is there', 'Transactions a second')
  await shown('databases', 'Databases', 'State checksum', 'Verify now')
  await shown('backups', 'Backups', 'Restorable until', 'Back up now')
  await shown('timeline', 'Timeline', 'switchover')
  await shown('settings', 'Settings', 'this needs the role admin', 'Options of this node')
  await page.goto(`${node.url}/_walcast/#/databases`)
  await page.getByRole('button', { name: 'Verify now' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('walcast verify').waitFor()
  await dialog.getByRole('button', { name: 'Verify', exact: true }).click()
  await dialog.getByText('all sound').waitFor()
  await dialog.getByRole('button', { name: 'Close' }).click()
  await page.goto(`${node.url}/_walcast/#/node`)
}

labTest(
  'login, tabs, roles; a switchover, and a failover when the leader has died',
  async (lab) => {
    const { leader, standby } = await startPair(lab)
    const [operate, read] = [await create(leader, 'operate'), await create(leader, 'read')]
    await until('the standby knows the tokens', async () => {
      const headers = { authorization: `Bearer ${read}` }
      return (await standby.get('/_walcast/status', headers)).status === 200
    })
    const browser = await ConsoleBrowser.open(lab)
    const context = await browser.context(standby.url)

    const page = await context.newPage()
    await page.goto(`${standby.url}/_walcast/`)
    await page.getByLabel('Token').fill(newToken().text)
    await page.keyboard.press('Enter')
    await page.getByRole('alert').getByText('unknown here or revoked').waitFor()
    await picture(page, 'login-refused')
    await page.getByLabel('Token').fill(read)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Standby' }).waitFor()

    // The role is too weak: the button is there, says why, and does nothing.
    const primary = page.getByRole('button', { name: 'Make me primary' })
    await page.getByText('Your role is read; this needs the role operate.').waitFor()
    assert.equal(await primary.getAttribute('aria-disabled'), 'true')
    await primary.focus()
    await page.keyboard.press('Enter')
    assert.equal(await page.getByRole('dialog').count(), 0)
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByLabel('Token').fill(operate)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Standby' }).waitFor()
    await page.getByText('node-a leads and answers').waitFor()
    await picture(page, 'standby')

    // A name with markup in it is a text.
    await page.getByRole('link', { name: 'This node' }).click()
    await page.getByText(MARKUP).waitFor()
    assert.equal(await page.locator('main img, main b').count(), 0)
    await picture(page, 'node')
    await page.getByRole('link', { name: 'Standby' }).click()

    // A second tab has the same session, and loses it with the first one.
    const tab = await context.newPage()
    await tab.goto(`${standby.url}/_walcast/`)
    await tab.getByRole('heading', { name: 'Standby' }).waitFor()
    await tab.getByRole('button', { name: 'Log out' }).click()
    await page.getByLabel('Token').waitFor()
    await tab.close()
    await page.getByLabel('Token').fill(operate)
    await page.keyboard.press('Enter')

    // While the leader lives the page offers a switchover.
    await primary.click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('answers, and leads in epoch 1').waitFor()
    await picture(page, 'leader-lives')
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    await primary.click()
    await dialog.getByRole('button', { name: 'Switch over to this node' }).click()
    await dialog.getByText('walcast switchover --to node-b').waitFor()
    await picture(page, 'switchover')
    await dialog.getByRole('button', { name: 'Switch over', exact: true }).click()
    await dialog.getByText('node-b leads in epoch 2; node-a follows').waitFor()
    await dialog.getByRole('button', { name: 'Close' }).click()
    await figure(page, 'Role').getByText('leader').waitFor()
    const { audit = [] } = await leader.status()
    const last = audit.findLast(({ action }) => action === 'switchover')
    assert.match(last?.by ?? '', /^console \(token /)
    await visitScreens(page, standby)

    await page.getByRole('link', { name: 'Cluster' }).click()
    await page.getByRole('button', { name: 'Rehearse node-a' }).click()
    await dialog.getByText('walcast rehearse --to node-a').waitFor()
    await dialog.getByText(/^A crash of node-b now would lose (nothing|\d+ transaction)/).waitFor()
    await dialog.getByRole('button', { name: 'Rehearse', exact: true }).click()
    await dialog.getByText('Leadership went there and back.').waitFor()
    await dialog.getByText('node-a leads in epoch 3; node-b follows').waitFor()
    await dialog.getByText('node-b leads in epoch 4; node-a follows').waitFor()
    await dialog.getByText('A crash of node-a just before would have lost').waitFor()
    await picture(page, 'rehearsed')
    await dialog.getByRole('button', { name: 'Close' }).click()

    // The other one stands by now, and the one that leads dies.
    const other = await openConsole(await browser.context(leader.url), leader, operate)
    await other.getByText('node-b leads and answers').waitFor()
    lab.mayEnd(standby)
    standby.kill('SIGKILL')
    await other.getByText('does not answer').first().waitFor()
    await other.getByText('No leader answers. This node is fit to lead.').waitFor()
    await picture(other, 'leader-away')
    await other.getByRole('button', { name: 'Make me primary' }).click()
    const asked = other.getByRole('dialog')
    await asked.getByText('Lost: no transaction that this node has heard of').waitFor()
    await asked.getByText('walcast promote node-a').waitFor()
    const confirm = asked.getByRole('button', { name: 'Make me primary' })
    assert.equal(await confirm.getAttribute('aria-disabled'), 'true')
    await picture(other, 'promote')
    // By keyboard alone.
    await asked.getByRole('checkbox').focus()
    await other.keyboard.press('Space')
    await confirm.focus()
    await other.keyboard.press('Enter')
    await asked.getByText('node-a leads in epoch 5').waitFor()
    await picture(other, 'promoted')
    await asked.getByRole('button', { name: 'Close' }).click()
    await figure(other, 'Role').getByText('leader').waitFor()
    assert.equal((await leader.status()).role, 'leader')
    browser.requireNoFaults()
  },
)

campaignTest(
  'the node goes away and comes back; the page says so, and fits any window',
  async (lab) => {
    await makeDatabase(lab, lab.path('leader.db'))
    const leader = await lab.leader(lab.path('leader.db'), OPTIONS)
    const token = await create(leader, 'operate')
    const browser = await ConsoleBrowser.open(lab)
    const page = await openConsole(await browser.context(leader.url), leader, token)
    await page.getByText('all well').waitFor()
    for (const [width, height] of [
      [320, 600],
      [640, 400],
      [1600, 1000],
    ] as const) {
      await page.setViewportSize({ width, height })
      await requireNoOverflow(page)
    }
    // The theme is remembered.
    await page.getByLabel('Theme').selectOption('dark')
    await page.reload()
    assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark')
    await page.getByLabel('Theme').selectOption('auto')
    await page.getByText('all well').waitFor()

    // Silent: what was last known stays.
    leader.kill('SIGSTOP')
    await page.getByText('This node does not answer since').waitFor()
    await figure(page, 'Role').getByText('leader').waitFor()
    await picture(page, 'node-away')
    assert.deepEqual(await inaccessible(page, 'a node that is away'), [])
    leader.kill('SIGCONT')
    await page.getByText('all well').waitFor()
    await page.getByText('This node does not answer since').waitFor({ state: 'hidden' })

    // A new process knows no session.
    await leader.stop()
    await page.getByText('This node does not answer since').waitFor()
    const again = await lab.restart(leader)
    await page.getByLabel('Token').fill(token)
    await page.keyboard.press('Enter')
    await page.getByText('all well').waitFor()
    assert.equal(again.url, leader.url)
    browser.requireNoFaults()
  },
)
