/**
 * Every screen of the console, of a node that leads and of one that follows: rules of
 * accessibility, windows of all sizes, the keyboard alone, and what each role may do. The screens
 * and their actions are those that the page itself offers.
 */
import assert from 'node:assert/strict'
import { suite } from 'node:test'
import type { Page } from 'playwright-core'
import { isEnough, TOKEN_ROLES, type TokenRole } from '../../src/security/tokenRoles.ts'
import { type ConsoleBrowser, openConsole } from '../support/consoleBrowser.ts'
import { goTo, inaccessible, menuOf, misfits, PHONE } from '../support/consoleChecks.ts'
import { createdToken, newToken, openAs, pairOnPage } from '../support/consoleCluster.ts'
import { focusedName, pressByKey, requireTabOrder } from '../support/consoleKeyboard.ts'
import type { Lab } from '../support/lab.ts'
import { sharedLab } from '../support/sharedLab.ts'
import { until } from '../support/until.ts'
import { Writer } from '../support/workload.ts'

/** Longer than a login takes on a busy machine. */
const SHORT_SESSION_MS = 15_000
const NEEDS = /this needs the role (\w+)/

interface FoundAction {
  readonly name: string
  /** Why it may not be used. */
  readonly why: string
}

/** The buttons of a screen that open a dialog. */
function actionsOf(page: Page): Promise<FoundAction[]> {
  return page.evaluate<FoundAction[]>(
    `[...document.querySelectorAll('main button')].filter((each) =>
      each.textContent.endsWith('…') && each.getClientRects().length > 0).map((each) => {
        const why = document.getElementById(each.getAttribute('aria-describedby') ?? '')
        const name = each.getAttribute('aria-label') ?? each.textContent
        const isRefused = each.getAttribute('aria-disabled') === 'true'
        return { name, why: isRefused ? (why?.textContent ?? name) : '' }
      })`,
  )
}

/** A writer goes on all the time: what the page shows is built anew each second. */
async function startBusyPair(lab: Lab) {
  const cluster = await pairOnPage(lab, ['--standby', '--backup', lab.path('archive')])
  const { db: path } = cluster.leader
  return { ...cluster, writer: new Writer(lab, 'node', { path, name: 'w', seed: 1, pauseMs: 100 }) }
}

/**
 * Opens each dialog of a screen by keyboard and leaves it. The focus cannot leave a dialog, and is
 * back at its button afterwards.
 */
async function visitDialogs(page: Page, screen: string, done: Set<string>): Promise<string[]> {
  const faults: string[] = []
  for (const { name, why } of await actionsOf(page)) {
    if (why || done.has(name)) continue
    done.add(name)
    await pressByKey(page, page.getByRole('main').getByRole('button', { name, exact: true }))
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: /^(Cancel|Close)$/ }).waitFor()
    await dialog.getByText('Asking the node').waitFor({ state: 'detached' })
    const what = `${name} on ${screen}`
    faults.push(
      ...(await inaccessible(page, what, 'dialog')),
      ...(await misfits(page, what, [PHONE])),
    )
    for (let i = 0; i < 6; i++) {
      await page.keyboard.press('Tab')
      const isInside =
        'document.activeElement === document.body || !!document.activeElement.closest("dialog")'
      assert.ok(await page.evaluate(isInside), `${what}: the focus leaves the dialog`)
    }
    await dialog.getByRole('button', { name: /^(Cancel|Close)$/ }).focus()
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    assert.equal(await focusedName(page), name, `${what}: the focus goes back`)
  }
  return faults
}

suite('the console of two nodes that were paired on its page', () => {
  const consoleTest = sharedLab(startBusyPair)

  consoleTest('each screen and dialog: accessible, fits any window', async (_lab, cluster) => {
    const faults: string[] = []
    const done = new Set<string>()
    for (const node of [cluster.standby, cluster.leader]) {
      const { page, context } = await openAs(cluster, node, cluster.admin)
      const menu = await menuOf(page)
      assert.ok(menu.length >= (node === cluster.standby ? 8 : 7))
      for (const entry of menu) {
        await goTo(page, entry)
        const what = `${entry.title} of ${node === cluster.leader ? 'the leader' : 'the standby'}`
        // The colours are the same on both nodes.
        const themes = node === cluster.standby ? undefined : (['light'] as const)
        faults.push(...(await misfits(page, what, node === cluster.standby ? undefined : [PHONE])))
        faults.push(...(await inaccessible(page, what, 'html', themes)))
        faults.push(...(await visitDialogs(page, what, done)))
      }
      await context.close()
    }
    assert.ok(done.size >= 10, [...done].join())
    assert.deepEqual(faults, [])
    cluster.browser.requireNoFaults()
  })

  consoleTest('the keyboard alone reaches everything, in order', async (_lab, cluster) => {
    const { page, context } = await openAs(cluster, cluster.standby, cluster.admin)
    await page.emulateMedia({ reducedMotion: 'reduce' })
    for (const entry of await menuOf(page)) {
      const link = page.getByRole('link', { name: entry.title, exact: true })
      await pressByKey(page, link)
      await page.getByRole('heading', { level: 1, name: entry.title }).waitFor()
      assert.equal(await focusedName(page), entry.title)
      const names = await requireTabOrder(page, entry.title)
      assert.equal(names[0], 'Skip to the content')
    }
    const moving = 'document.getAnimations().length'
    assert.equal(await page.evaluate(moving), 0)
    await context.close()
    cluster.browser.requireNoFaults()
  })

  consoleTest(
    'a button that is held down while its table changes is clicked',
    async (_lab, cluster) => {
      const { page, context } = await openAs(cluster, cluster.leader, cluster.admin)
      await page.getByRole('link', { name: 'Cluster' }).click()
      await page.getByRole('button', { name: 'Switch over node-b' }).hover()
      await page.mouse.down()
      // Some seconds of news.
      await cluster.writer.advance(20)
      await page.mouse.up()
      await page.getByRole('dialog').getByText('walcast switchover --to node-b').waitFor()
      await context.close()
      cluster.browser.requireNoFaults()
    },
  )

  consoleTest('each role has its buttons, and the others say why not', async (lab, cluster) => {
    const { leader } = cluster
    const read = await actionsAs(cluster.browser, leader, await newToken(lab, leader, 'read'))
    const needed = new Map(
      read.map(({ name, why }) => [
        plainName(name),
        TOKEN_ROLES.find((r) => r === NEEDS.exec(why)?.[1]),
      ]),
    )
    assert.ok([...needed.values()].filter((role) => role !== undefined).length >= 5)
    for (const role of ['operate', 'admin'] as const) {
      const token = role === 'admin' ? cluster.admin : await newToken(lab, leader, role)
      const found = await actionsAs(cluster.browser, leader, token)
      assert.ok(found.length >= read.length)
      for (const { name, why } of found) requireRole(name, why, needed.get(plainName(name)), role)
    }
    cluster.browser.requireNoFaults()
  })

  consoleTest('the lag of a replica that stands still is seen, and ends', async (_lab, cluster) => {
    const { page, context } = await openAs(cluster, cluster.leader, cluster.admin)
    await page.getByRole('link', { name: 'This node' }).click()
    const figure = (label: string) =>
      page.locator('.figure').filter({ hasText: label }).locator('.value')
    const first = await figure('Position').textContent()
    await cluster.writer.advance(10)
    await until(
      'the position moves',
      async () => (await figure('Position').textContent()) !== first,
    )
    cluster.standby.kill('SIGSTOP')
    await page.getByText('needs attention').waitFor()
    await page.getByRole('link', { name: 'Lag' }).click()
    await until('the lag grows', async (saw) => {
      const shown = (await figure('Now').first().textContent()) ?? ''
      saw(shown)
      return / s$|min/.test(shown)
    })
    cluster.standby.kill('SIGCONT')
    await page.getByText('all well').waitFor()
    await context.close()
    cluster.browser.requireNoFaults()
  })

  consoleTest('a session that ends asks for a login, and goes on there', async (_lab, cluster) => {
    const { page: mine, context } = await openAs(cluster, cluster.leader, cluster.admin)
    const token = await createdToken(mine, 'read', SHORT_SESSION_MS)
    await context.close()
    const { page, context: short } = await openAs(cluster, cluster.leader, token)
    await page.getByRole('link', { name: 'Timeline' }).click()
    await page.getByRole('heading', { level: 1, name: 'Timeline' }).waitFor()
    await page.getByText('Your session has ended').waitFor()
    assert.deepEqual(await inaccessible(page, 'login'), [])
    assert.deepEqual(await misfits(page, 'login'), [])
    await requireTabOrder(page, 'login')
    await page.getByLabel('Token').fill(cluster.admin)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'Timeline' }).waitFor()
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByLabel('Token').waitFor()
    assert.equal(await page.getByText('Your session has ended').count(), 0)
    await short.close()
    cluster.browser.requireNoFaults()
  })
})

/** Without the reason that the name of a refused button ends with. */
function plainName(name: string): string {
  return name.split(':')[0]
}

async function actionsAs(
  browser: ConsoleBrowser,
  node: { readonly url: string },
  token: string,
): Promise<FoundAction[]> {
  const context = await browser.context(node.url)
  const page = await openConsole(context, node, token)
  const found: FoundAction[] = []
  for (const entry of await menuOf(page)) {
    await goTo(page, entry)
    // The list comes when the node has asked the others.
    if (entry.id === 'cluster')
      await page.getByRole('button', { name: /^Rehearse node-b/ }).waitFor()
    found.push(...(await actionsOf(page)))
  }
  await context.close()
  return found
}

/** `needed`: by the word of the page to whoever may only read. */
function requireRole(
  name: string,
  why: string,
  needed: TokenRole | undefined,
  role: TokenRole,
): void {
  // What depends on more than the role, or is shown to some roles only, says nothing of a role.
  if (needed) assert.equal(why === '', isEnough(role, needed), `${name} for ${role}: ${why}`)
}
