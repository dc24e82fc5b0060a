/**
 * Rows in the databases that nodes keep aside. A bundle never changes once its rows were compared,
 * so each is read once.
 */
import assert from 'node:assert/strict'
import { contentOf } from '../support/content.ts'
import type { Lab } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'

const known = new WeakMap<Lab, Map<string, ReadonlySet<string>>>()

/** Waits until these nodes have compared all kept bundles. */
export async function keptRows(lab: Lab, nodes: readonly TestNode[]): Promise<ReadonlySet<string>> {
  const all = new Set<string>()
  const read = known.get(lab) ?? new Map<string, ReadonlySet<string>>()
  known.set(lab, read)
  for (const node of nodes)
    for (const path of await bundlesOf(node)) {
      const rows = read.get(path) ?? (await contentOf(lab, path)).rows
      read.set(path, rows)
      for (const row of rows) all.add(row)
    }
  return all
}

async function bundlesOf(node: TestNode): Promise<readonly string[]> {
  const bundles = await until('what is kept aside is compared', async () => {
    const { diverged = [] } = await node.status()
    return diverged.some(({ state }) => state === 'kept') ? undefined : diverged
  })
  for (const { name, state } of bundles) assert.equal(state, 'compared', `${node.db}: ${name}`)
  return bundles.map(({ name }) => `${node.db}-walcast/diverged/${name}/database.db`)
}
