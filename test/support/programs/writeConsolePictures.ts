/**
 * Writes docs/pictures: the console of two real nodes, one picture of each screen that the menu
 * offers. The documents show them; tests never write there.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { goTo, menuOf } from '../consoleChecks.ts'
import { openAs, pairOnPage } from '../consoleCluster.ts'
import { Lab } from '../lab.ts'
import { Writer } from '../workload.ts'

const FOLDER = fileURLToPath(new URL('../../../../docs/pictures/', import.meta.url))
/** So that lines over time are lines. */
const HISTORY_MS = 75_000
const WIDE = { width: 1200, height: 760 }
const PHONE = { width: 360, height: 720 }
/** Of WebP: letters stay sharp. */
const QUALITY = 82

type Theme = 'light' | 'dark'

/** What the page says of the test's own folder is said of /srv, where a database would be. */
async function keep(page: Page, lab: Lab, name: string, theme: Theme = 'light'): Promise<void> {
  await page.emulateMedia({ colorScheme: theme })
  // Lines of charts take the colours of a theme when they are drawn again.
  await delay(1500)
  await page.evaluate(`(() => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (texts.nextNode())
      texts.currentNode.data = texts.currentNode.data.replaceAll('${lab.folder}', '/srv')
  })()`)
  const session = await page.context().newCDPSession(page)
  const asked = { format: 'webp', quality: QUALITY } as const
  const { data } = await session.send('Page.captureScreenshot', asked)
  await session.detach()
  writeFileSync(join(FOLDER, `console-${name}.webp`), Buffer.from(data, 'base64'))
}

async function write(lab: Lab): Promise<void> {
  const cluster = await pairOnPage(lab, ['--standby', '--backup', lab.path('archive')])
  const { leader, standby, admin } = cluster
  const writer = new Writer(lab, 'node', { path: leader.db, name: 'w', seed: 1, pauseMs: 40 })
  const { page } = await openAs(cluster, standby, admin)
  await page.setViewportSize(WIDE)
  await delay(HISTORY_MS)
  for (const entry of await menuOf(page)) {
    await goTo(page, entry)
    await keep(page, lab, entry.id)
    if (entry.id === 'standby') await keep(page, lab, 'standby-dark', 'dark')
  }
  await page.setViewportSize(PHONE)
  await goTo(page, { id: 'cluster', title: 'Cluster' })
  await keep(page, lab, 'phone')
  await page.setViewportSize(WIDE)
  await writer.stop()
  lab.mayEnd(leader)
  leader.kill('SIGKILL')
  await goTo(page, { id: 'standby', title: 'Standby' })
  await page.getByText('No leader answers.').waitFor()
  await page.getByRole('button', { name: 'Make me primary' }).click()
  await page.getByRole('dialog').getByRole('checkbox').check()
  await keep(page, lab, 'make-primary')
  cluster.browser.requireNoFaults()
}

mkdirSync(FOLDER, { recursive: true })
const lab = new Lab()
try {
  await write(lab)
} finally {
  await lab.close()
}
