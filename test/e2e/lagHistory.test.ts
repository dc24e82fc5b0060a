/** What real nodes remember of their lag, over a restart, with a crash in a write of it. */
import assert from 'node:assert/strict'
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { LAG_HISTORY_PATH, type LagHistoryAnswer } from '../../src/api/lagHistory.ts'
import { startFailing } from '../support/failingNode.ts'
import { campaignTest, labTest, waitLevel } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

async function historyOf(node: TestNode, query = ''): Promise<LagHistoryAnswer> {
  const { status, text } = await node.get(`${LAG_HISTORY_PATH}${query}`)
  assert.equal(status, 200, text)
  return JSON.parse(text)
}

labTest('the past of a node is there after a restart, with its gap and its events', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db)
  const replica = await lab.replica(lab.path('copy.db'), leader)
  await waitLevel(leader, replica)
  // Two looks, a second apart.
  await until('something was written and seen', async () => {
    await lab.prepare(db, "INSERT INTO log (who, body) VALUES ('a', 'b')")
    return (await replica.status()).uptimeSeconds >= 4
  })
  await replica.stop()
  assert.ok(existsSync(`${replica.db}-walcast/lag-hour.ring`))
  const again = await lab.restart(replica)
  const { points, events, pointSeconds } = await historyOf(again, '?points=500')
  const [point] = points
  assert.deepEqual([point.role, pointSeconds], ['replica', 10])
  assert.ok(points.reduce((sum, each) => sum + each.transactionsPerSecond, 0) > 0)
  assert.ok(points.some(({ percentiles, stages }) => percentiles && stages?.applied))
  assert.ok(points.some(({ bytesPerSecond, walBytes }) => bytesPerSecond > 0 && walBytes > 0))
  assert.ok(events.some(({ action }) => action === 'start' || action === 'role'))
  const week = await historyOf(again, `?from=${Date.now() - 7 * 86_400_000}&points=10`)
  assert.ok(week.points.length >= 1 && week.points.length <= 10)

  for (const query of ['?points=501', '?points=1', '?from=x', '?from=9&to=9', '?from=2026-11-30'])
    assert.equal((await again.get(LAG_HISTORY_PATH + query)).status, 400, query)

  const table = lab.cli(['lag', '--db', again.db, '--since', '-1h', '--wide'])
  table.expectEnd()
  assert.equal((await table.ended).code, 0)
  assert.match(table.out.join('\n'), /replica .* ms/)
  const json = lab.cli(['lag', '--db', again.db, '--since', '2h', '--stage', 'sent', '--json'])
  json.expectEnd()
  assert.equal((await json.ended).code, 0)
  assert.ok(JSON.parse(json.out.join('')).points.length >= 1)
  for (const flags of [
    ['--until', '1h'],
    ['--since', 'x'],
    ['--since', '1h', '--until', '2h'],
  ]) {
    const wrong = lab.cli(['lag', '--db', again.db, ...flags])
    wrong.expectEnd()
    assert.equal((await wrong.ended).code, 2, flags.join(' '))
  }
})

campaignTest(
  'a copied ring of another node stays apart, and a crash in a write is no loss',
  async (lab) => {
    const db = lab.path('leader.db')
    await makeDatabase(lab, db)
    const leader = await lab.leader(db)
    await until('it has looked', async () => (await leader.status()).uptimeSeconds >= 4)
    await leader.stop()
    const other = lab.path('other.db')
    await makeDatabase(lab, other)
    const first = await lab.leader(other)
    await first.stop()
    const [from, to] = [db, other].map((path) => `${path}-walcast/lag-hour.ring`)
    copyFileSync(from, to)

    const { role, options } = first
    const began = new Date().toISOString()
    const isOwn = ({ points }: LagHistoryAnswer) => points.every((point) => point.from >= began)
    const failing = await startFailing(lab, role, options)
    assert.ok(isOwn(await historyOf(failing.node)))
    assert.deepEqual(readFileSync(`${to}.other-1`), readFileSync(from))
    assert.equal(failing.node.logged('set a history of lag aside').length, 1)
    await failing.fail({ ops: ['lag.write'], code: 'KILL', times: 1 })
    failing.node.child.expectEnd()
    await failing.node.child.ended
    const after = await lab.restart(first)
    assert.ok(isOwn(await historyOf(after)))
    assert.equal(after.logged('cannot write the history of lag').length, 0)
  },
)
