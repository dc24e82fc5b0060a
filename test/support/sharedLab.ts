/**
 * A lab that the tests of one suite share, with what they have in common, such as a cluster: to
 * start its nodes takes most of the processor time of a short test. Each test brings files, tables
 * and nodes of its own, and leaves the shared nodes as it found them.
 */
import { after, before, type TestContext, test } from 'node:test'
import { ENDLESS_MS, Lab, limited } from './lab.ts'
import { PATIENCE_MS } from './until.ts'

type SharedTest<Common> = (lab: Lab, common: Common, t: TestContext) => Promise<void>

/**
 * Call it in a suite: it declares the tests of that suite. What `start` gives is there before the
 * first of them, and is gone after the last.
 */
export function sharedLab<Common>(
  start: (lab: Lab) => Promise<Common>,
): (name: string, run: SharedTest<Common>) => void {
  let made: { readonly lab: Lab; readonly common: Common } | undefined
  let lab: Lab | undefined
  before(async () => {
    lab = new Lab()
    made = { lab, common: await limited(start(lab)) }
  })
  after(() => lab?.close())
  return (name, run) => {
    test(name, { timeout: ENDLESS_MS + PATIENCE_MS }, async (t) => {
      if (!made) throw new Error('what the tests share did not start')
      const { lab, common } = made
      try {
        await limited(run(lab, common, t))
        lab.requireAlive()
      } catch (error) {
        for (const tail of lab.tails()) t.diagnostic(tail)
        throw error
      }
    })
  }
}
