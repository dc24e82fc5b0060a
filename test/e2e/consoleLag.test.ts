/** The screen of lag in a real browser, of a node that remembers a week. */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { pino } from 'pino'
import { valuesFrom } from '../../src/health/lagRing/lagSlot.ts'
import { RingFile } from '../../src/health/lagRing/ringFile.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { ConsoleBrowser, picture, requireNoOverflow } from '../support/consoleBrowser.ts'
import { campaignTest, waitLevel } from '../support/lab.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** A week of minutes in the folder of a node to come: a day without any, two hours of a cause. */
async function remember(folder: string, node: string): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const ring = new RingFile({
    path: `${folder}/lag-week.ring`,
    slotMs: MINUTE_MS,
    slots: 10_120,
    owner: () => ({ node, cluster: '' }),
    ops: systemFileOps,
    log: pino({ level: 'silent' }),
    onDropped: () => assert.fail('a slot was dropped'),
  })
  const endMs = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - MINUTE_MS
  for (let fromMs = endMs - 7 * DAY_MS + 2 * MINUTE_MS; fromMs < endMs; fromMs += MINUTE_MS) {
    const agoMs = endMs - fromMs
    if (agoMs > 3 * DAY_MS && agoMs < 4 * DAY_MS) continue
    const isSlow = agoMs > DAY_MS && agoMs < DAY_MS + 120 * MINUTE_MS
    const swing = 1 + Math.sin(fromMs / (DAY_MS / 6))
    await ring.append({
      fromMs,
      toMs: fromMs + MINUTE_MS,
      role: 'replica',
      causes: isSlow ? ['slow-link'] : [],
      values: valuesFrom((name) => swing * (isSlow ? 40 : 1) * (name.endsWith('Ms') ? 2 : 9000)),
    })
  }
  await ring.close()
}

campaignTest(
  'the last week, a part of it, what happened; by mouse and by keyboard',
  async (lab) => {
    const db = lab.path('leader.db')
    await makeDatabase(lab, db)
    const leader = await lab.leader(db)
    const copy = lab.path('copy.db')
    await remember(`${copy}-walcast`, 'node-b')
    const replica = await lab.replica(copy, leader, { flags: ['--name', 'node-b'] })
    await waitLevel(leader, replica)
    await lab.prepare(db, "INSERT INTO log (who, body) VALUES ('a', 'b')")
    const browser = await ConsoleBrowser.open(lab)
    const context = await browser.context(replica.url)
    const page = await context.newPage()
    await page.goto(`${replica.url}/_walcast/#/lag`)
    const main = page.getByRole('main')
    const values = main.locator('.chart-values').first()
    const command = main.locator('.command code')
    const when = values.locator('.when')
    const first = await when.getByText(' to ').textContent()
    await until('the hour goes on by itself', async () => (await when.textContent()) !== first)
    await picture(page, 'lag-hour')

    await main.getByRole('button', { name: 'Week' }).click()
    await command.getByText('walcast lag node-b --since 7d').waitFor()
    const bar = main.locator('.mark.cause').first()
    await bar.hover()
    await main.getByText(/cause slow-link, for 2 h/).waitFor()
    await page.mouse.move(0, 0)
    await picture(page, 'lag-week')

    // The middle of the chart is within the day without measures; its left part is not.
    const chart = main.locator('.chart').first()
    const box = await chart.boundingBox()
    assert.ok(box)
    const [middle, y] = [box.x + box.width / 2, box.y + 60]
    await page.mouse.move(middle + 150, y)
    await values.getByText(/p99 \d/).waitFor()
    await page.mouse.move(middle + 100, y)
    await page.mouse.down()
    await page.mouse.move(middle + 250, y, { steps: 4 })
    await page.mouse.up()
    await command.getByText('--until').waitFor()
    await main.getByRole('button', { name: 'Back' }).click()
    await command.getByText('--since 7d').waitFor()

    await chart.focus()
    await page.keyboard.press('ArrowLeft')
    const newest = await values.textContent()
    await page.keyboard.press('ArrowLeft')
    await until('another point is told', async () => (await values.textContent()) !== newest)
    await page.keyboard.press('+')
    await command.getByText('--until').waitFor()
    await page.keyboard.press('Escape')
    await command.getByText('--since 7d').waitFor()
    await bar.waitFor()
    const marks = main.locator('.mark')
    await marks.first().focus()
    await page.keyboard.press('ArrowRight')
    const told = await marks.nth(1).getAttribute('aria-label')
    assert.equal(await main.locator('.mark:focus').getAttribute('aria-label'), told)
    await main.locator('.mark-text').getByText(String(told)).waitFor()

    await main.getByLabel('Percentiles of').selectOption('applied')
    await command.getByText('--stage applied').waitFor()
    await main.getByText('The same numbers as a table').click()
    await main.getByRole('cell', { name: 'slow-link' }).first().waitFor()
    await page.setViewportSize({ width: 320, height: 700 })
    await requireNoOverflow(page)
    await picture(page, 'lag-table')
    browser.requireNoFaults()
  },
)
