/** The metrics of automatic failover, as a collector reads them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ElectionReport } from '../../src/api/electionReport.ts'
import { Metrics } from '../../src/health/metrics.ts'
import { AGREED, DECLINES, FOLLOWS, LEADS, OVER } from '../support/electionReports.ts'

async function gaugesOf(report: ElectionReport): Promise<Readonly<Record<string, number>>> {
  const metrics = new Metrics(false)
  metrics.observeElection(() => report)
  const text = await metrics.registry.metrics()
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(
    lines.map((line) => {
      const [name, value] = line.split(' ')
      return [name.replace('walcast_election_', ''), Number(value)]
    }),
  )
}

const WELL = {
  lease_valid_seconds: 0,
  lease_over: 0,
  by_agreement: 0,
  service_away_seconds: 0,
  not_promoted: 0,
  counted_nodes: 1,
}

test('gauges tell of the lease, the service and the reason', async () => {
  assert.deepEqual(await gaugesOf(FOLLOWS), WELL)
  assert.deepEqual(await gaugesOf(LEADS), { ...WELL, lease_valid_seconds: 3.312 })
  assert.deepEqual(await gaugesOf(AGREED), {
    ...WELL,
    ...{ lease_valid_seconds: 2.1, by_agreement: 1, service_away_seconds: 12.4 },
  })
  assert.deepEqual(await gaugesOf(OVER), { ...WELL, lease_over: 1, service_away_seconds: 12.4 })
  assert.deepEqual(await gaugesOf(DECLINES), { ...WELL, not_promoted: 1 })
})

test('counters tell of renewals, agreements and elections', async () => {
  const metrics = new Metrics(false)
  const election = metrics.election()
  election.onRenewal('renewed')
  election.onRenewal('failed')
  election.onAgreement('agreed')
  election.onAgreement('refused')
  election.onElected()
  const text = await metrics.registry.metrics()
  for (const line of [
    'walcast_election_renewals_total{outcome="renewed"} 1',
    'walcast_election_renewals_total{outcome="failed"} 1',
    'walcast_election_agreements_total{event="agreed"} 1',
    'walcast_election_agreements_total{event="refused"} 1',
    'walcast_election_won_total 1',
  ])
    assert.ok(text.split('\n').includes(line), line)
})
