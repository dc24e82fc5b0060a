/**
 * Two nodes that a person has paired on the page of the first: the code is made there, and the
 * second host joins with it. A browser looks at both.
 */
import assert from 'node:assert/strict'
import type { BrowserContext, Page } from 'playwright-core'
import { CONSOLE_HEADER } from '../../src/api/consoleSession.ts'
import { TOKENS_PATH } from '../../src/api/tokens.ts'
import type { TokenRole } from '../../src/security/tokenRoles.ts'
import { ConsoleBrowser, openConsole } from './consoleBrowser.ts'
import type { Lab } from './lab.ts'
import { joinArguments, joined, run, startLeader } from './pairing.ts'
import type { TestNode } from './testNode.ts'

export interface ConsoleCluster {
  readonly browser: ConsoleBrowser
  readonly leader: TestNode
  readonly standby: TestNode
  /** A token of the role admin. */
  readonly admin: string
}

/** Begins with the leader alone. `flags`: of the node that joins. */
export async function pairOnPage(lab: Lab, flags: readonly string[] = []): Promise<ConsoleCluster> {
  const leader = await startLeader(lab, {}, ['--tls', '--name', 'node-a', '--peer-look', '200ms'])
  const admin = await newToken(lab, leader, 'admin')
  const browser = await ConsoleBrowser.open(lab)
  const page = await openConsole(await browser.context(leader.url), leader, admin)
  const code = await pairingCode(page)
  const args = await joinArguments(lab, code, 'standby')
  const standby = await joined(lab, [...args, '--name', 'node-b', '--peer-look', '200ms', ...flags])
  // The node that made the code sees the other one come.
  await page.getByRole('row').filter({ hasText: 'node-b' }).getByText('level').waitFor()
  await page.context().close()
  return { browser, leader, standby, admin }
}

/** What the page of a leader tells to type on the new host. */
async function pairingCode(page: Page): Promise<string> {
  await page.getByRole('link', { name: 'Cluster' }).click()
  await page.getByRole('button', { name: 'Pair a new node' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('Whoever has the code').waitFor()
  await dialog.getByRole('button', { name: 'Make a code' }).click()
  const told = await dialog.getByText('walcast join').textContent()
  await dialog.getByRole('button', { name: 'Close' }).click()
  const [, code] = /^walcast join ([0-9A-Z]+) --db FILE --listen HOST:PORT$/.exec(told ?? '') ?? []
  assert.ok(code, told ?? '')
  return code
}

/** A new token, made on the machine of the node. `more`: further arguments of the command. */
export async function newToken(
  lab: Lab,
  node: TestNode,
  role: TokenRole,
  more: readonly string[] = [],
): Promise<string> {
  const args = ['token', 'create', '--role', role, '--db', node.db, ...more]
  const { code, out, err } = await run(lab, args)
  assert.equal(code, 0, err)
  const [token] = /wct_[\w-]+/.exec(out) ?? []
  assert.ok(token, out)
  return token
}

/** A new token that ends by itself, asked for by the page of an admin. */
export async function createdToken(
  page: Page,
  role: TokenRole,
  expiresMs: number,
): Promise<string> {
  const body = JSON.stringify(JSON.stringify({ role, expiresMs }))
  const headers = JSON.stringify({ 'content-type': 'application/json', [CONSOLE_HEADER]: '1' })
  const asked = `{ method: 'POST', headers: ${headers}, body: ${body} }`
  const answer = await page.evaluate<{ token: string }>(
    `fetch('${TOKENS_PATH}', ${asked}).then((answer) => answer.json())`,
  )
  return answer.token
}

/** A page of its own, logged in. */
export async function openAs(
  { browser }: ConsoleCluster,
  node: TestNode,
  token: string,
): Promise<{ readonly context: BrowserContext; readonly page: Page }> {
  const context = await browser.context(node.url)
  return { context, page: await openConsole(context, node, token) }
}
