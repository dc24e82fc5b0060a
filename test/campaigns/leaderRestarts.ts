/** A leader restarts again and again under a writer: its replicas keep almost nothing aside. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Lab, requireSame, waitLevel } from '../support/lab.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const COMMITS_BETWEEN = 1500
/** What replicas may keep aside over all of them, as a share of the database. */
const KEPT_SHARE = 0.05

/** Four restarts in a row differ: how the leader ends, and whether the writer goes on meanwhile. */
export async function leaderRestarts(lab: Lab, t: TestContext, restarts: number): Promise<void> {
  const db = lab.path('a.db')
  await makeDatabase(lab, db, { rows: 12_000 })
  let leader = await lab.leader(db)
  const replicas = [
    await (await lab.replica(lab.path('b.db'), leader)).ready(),
    await (await lab.replica(lab.path('c.db'), leader)).ready(),
  ]
  for (let i = 0; i < restarts; i++) {
    await leader.stop(i % 2 === 0 ? 'SIGTERM' : 'SIGKILL')
    const application = lab.program('burst', { path: db, commits: COMMITS_BETWEEN, seed: i })
    application.expectEnd()
    // Half of the writers go on while the node starts.
    if (i % 4 < 2) await application.ended
    leader = await lab.restart(leader)
    assert.equal((await application.ended).code, 0, application.tail())
    await Promise.all(replicas.map((replica) => waitLevel(leader, replica)))
  }
  for (const replica of replicas) {
    await requireSame(lab, leader, replica)
    const { diverged = [] } = await until('everything is compared', async () => {
      const status = await replica.status()
      return (status.diverged ?? []).every(({ state }) => state === 'compared') ? status : undefined
    })
    const keptBytes = folderBytes(`${replica.db}-walcast/diverged`)
    const share = keptBytes / statSync(replica.db).size
    t.diagnostic(`${diverged.length} kept, ${keptBytes} bytes, ${(100 * share).toFixed(2)} %`)
    assert.ok(share < KEPT_SHARE, `${keptBytes} bytes are kept`)
    assert.ok(diverged.every(({ kind }) => kind === 'routine'))
  }
}

function folderBytes(folder: string): number {
  if (!existsSync(folder)) return 0
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names.reduce((bytes, name) => bytes + statSync(join(folder, name)).size, 0)
}
