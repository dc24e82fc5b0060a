/**
 * Every screen of the console, of a node that leads and of one that follows: rules of
 * accessibility, windows of all sizes, the keyboard alone, and what each role may do.
 */
import assert from 'node:assert/strict'
import { suite } from 'node:test'
import { picture } from '../support/consoleBrowser.ts'
import { goTo, inaccessible, menuOf, misfits } from '../support/consoleChecks.ts'
import { openAs, pairOnPage } from '../support/consoleCluster.ts'
import { sharedLab } from '../support/sharedLab.ts'

suite('the console of two nodes that were paired on the page', () => {
  const consoleTest = sharedLab(async (lab) => {
    const cluster = await pairOnPage(lab, ['--standby', '--backup', lab.path('archive')])
    return cluster
  })

  consoleTest('every screen and dialog is accessible and fits any window', async (_lab, cluster) => {
    const faults: string[] = []
    for (const node of [cluster.leader, cluster.standby]) {
      const { page, context } = await openAs(cluster, node, cluster.admin)
      const menu = await menuOf(page)
      assert.ok(menu.length >= 7)
      for (const entry of menu) {
        await goTo(page, entry)
        const what = `${entry.title} of ${node === cluster.leader ? 'a' : 'b'}`
        const at = performance.now()
        faults.push(...(await misfits(page, what)))
        const b = performance.now()
        faults.push(...(await inaccessible(page, what)))
        console.error(entry.id, b - at, performance.now() - b)
        await picture(page, `x-${node === cluster.leader ? 'a' : 'b'}-${entry.id}`)
      }
      await context.close()
    }
    assert.deepEqual(faults, [])
    cluster.browser.requireNoFaults()
  })
})
