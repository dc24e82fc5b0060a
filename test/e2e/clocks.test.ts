/**
 * Nodes whose clocks are ten minutes apart hand leadership over, with tokens that are valid for
 * half a minute.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type BankCluster, startBank } from '../support/bankCluster.ts'
import { failuresIn, faultsIn } from '../support/historyCheck.ts'
import { campaignTest } from '../support/lab.ts'
import { PROGRAMS } from '../support/paths.ts'

const TEN_MINUTES_MS = 600_000

/** The second node's clock is ahead of the first one's, the third one's behind it. */
async function startApart(cluster: BankCluster): Promise<void> {
  const [, second, third] = cluster.sites
  for (const [site, shiftMs] of [
    [second, TEN_MINUTES_MS],
    [third, -TEN_MINUTES_MS],
  ] as const) {
    await site.node.stop()
    const environment = {
      ...site.node.options.environment,
      NODE_OPTIONS: `--import ${join(PROGRAMS, 'shiftedClock.js')}`,
      TEST_CLOCK_SHIFT_MS: String(shiftMs),
    }
    await site.restart({ environment })
    await site.node.ready()
  }
}

campaignTest(
  'clocks ten minutes apart: switchover and failover lose and double nothing',
  async (lab) => {
    const cluster = await startBank(lab)
    await startApart(cluster)
    const [first, second, third] = cluster.sites
    const client = cluster.client({ isKeyed: true, writeHeaders: { 'walcast-ack': 'one' } })
    await client.writesEverywhere()
    for (const to of [second, third, second]) {
      const done = await to.switchover(to)
      assert.equal(done.to.address, to.address)
      await cluster.settled()
      await client.writesEverywhere()
    }
    assert.deepEqual(failuresIn(await cluster.judge(client.record, second)), [])
    await second.node.stop('SIGKILL')
    const furthest =
      (await first.node.status()).txid >= (await third.node.status()).txid ? first : third
    const promoted = await furthest.promote()
    await cluster.settled([second])
    await client.advance(50)
    await second.restart()
    await second.waitStreaming(promoted.epoch)
    await client.writesEverywhere()
    const report = await cluster.judge(await client.stop(), furthest, 'unreplicated')
    assert.deepEqual(faultsIn(report), [])
    assert.ok(report.lasting > 0)
    await cluster.requireSame(furthest)
  },
)
