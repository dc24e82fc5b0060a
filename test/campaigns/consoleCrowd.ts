/** The console of a cluster of many nodes. */
import assert from 'node:assert/strict'
import { ConsoleBrowser, picture } from '../support/consoleBrowser.ts'
import { inaccessible, misfits } from '../support/consoleChecks.ts'
import { AWAY, LATE, startCrowd } from '../support/consoleCrowd.ts'
import { labTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

const REPLICAS = 60

/** Boxes of the drawing that touch another one, and texts wider than their box. */
const CROWDED = `(() => {
  const found = []
  const groups = [...document.querySelectorAll('.cluster-drawing g')]
  const boxes = groups.map((each) => each.querySelector('rect').getBoundingClientRect())
  for (const [i, a] of boxes.entries())
    for (const b of boxes.slice(i + 1))
      if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
        found.push('boxes touch')
  for (const [i, each] of groups.entries())
    for (const text of each.querySelectorAll('text'))
      if (text.getBoundingClientRect().width > boxes[i].width - 4) found.push(text.textContent)
  return { count: boxes.length, found }
})()`

labTest('a cluster of sixty replicas is drawn, listed and found in', async (lab) => {
  const [leader, browser] = await Promise.all([startCrowd(lab, REPLICAS), ConsoleBrowser.open(lab)])
  const context = await browser.context(leader.url)
  const page = await context.newPage()
  await page.goto(`${leader.url}/_walcast/#/cluster`)
  await page.getByText('open: no login').waitFor()
  await until('all nodes are in the drawing', async (saw) => {
    const { count } = await page.evaluate<{ count: number }>(CROWDED)
    saw(`${count}`)
    return count === REPLICAS + 1
  })
  for (const width of [320, 1440]) {
    await page.setViewportSize({ width, height: 900 })
    await until('the drawing fits its place', async (saw) => {
      const { found } = await page.evaluate<{ found: string[] }>(CROWDED)
      saw(found.join())
      return found.length === 0
    })
  }
  assert.deepEqual(await misfits(page, 'Cluster'), [])
  assert.deepEqual(await inaccessible(page, 'Cluster'), [])
  await picture(page, 'crowd')
  const rows = page.locator('tbody th')
  assert.equal(await rows.count(), REPLICAS + 1)
  await page.getByLabel('Contains').fill('replica-0')
  await until('nine are found', async () => (await rows.count()) === 9)
  await page.getByLabel('Contains').fill('')
  await page.getByLabel('Show').selectOption('alarmed')
  const alarmed = async () => (await rows.allTextContents()).join()
  await until('two need attention', async (saw) => {
    const names = await alarmed()
    saw(names)
    return names.includes(LATE) && names.includes(AWAY) && (await rows.count()) <= 3
  })
  await page.getByLabel('Contains').fill('nothing is called so')
  await page.getByText('No node is like that.').waitFor()
  browser.requireNoFaults()
})
