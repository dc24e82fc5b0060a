/**
 * Two nodes under `walcast run` behind HAProxy and nginx, under clients that record every answer, and autocannon: planned changes of
 * leader, then nodes and applications that die. Not part of `npm test`. Needs the Debian packages `haproxy` and `nginx-light`.
 *
 *   scripts/torture balancers [--switchovers N] [--kills N]
 *
 * Exit 0 when no request failed of those that were asked while leadership moved as planned, nothing was lost, and nothing was done twice.
 */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { type Backend, startHaproxy, startNginx } from '../support/balancers.ts'
import { ACCOUNTS, BALANCE, makeBank, stateOf } from '../support/bankCluster.ts'
import { describe, type Exchange, outcomeOf } from '../support/history.ts'
import { checkHistory, faultsIn } from '../support/historyCheck.ts'
import { Lab } from '../support/lab.ts'
import { promote, switchover } from '../support/leadership.ts'
import { RecordingClient } from '../support/recordingClient.ts'
import { RunSite } from '../support/runSite.ts'
import { until } from '../support/until.ts'

/** What is used of autocannon, which brings no types. */
interface Load
  extends PromiseLike<{ readonly errors: number; readonly timeouts: number; readonly non2xx: number }> {
  stop(): void
}
const autocannon: (options: object) => Load = createRequire(import.meta.url)('autocannon')

const ENVIRONMENT = {
  WALCAST_SECRET: 'correct horse battery staple',
  WALCAST_HEARTBEAT: '100ms',
  WALCAST_RECONNECT_MAX: '100ms',
}
const MAX_TOLD = 12
/** Answers of success that each step is given before the next one. */
const STEP_ANSWERS = 100

const { values } = parseArgs({
  options: { switchovers: { type: 'string', default: '20' }, kills: { type: 'string', default: '5' } },
})

const lab = new Lab()
try {
  await run(Number(values.switchovers), Number(values.kills))
} catch (error) {
  process.stdout.write(
    `FAILED: ${error instanceof Error ? error.stack : String(error)}\n${lab.tails().join('\n')}\n`,
  )
  process.exitCode = 1
} finally {
  await lab.close()
}

async function run(switchovers: number, kills: number): Promise<void> {
  await makeBank(lab, lab.path('a.db'))
  const a = await RunSite.start(lab, 'a', { environment: ENVIRONMENT })
  const b = await RunSite.start(lab, 'b', { leader: a.node.address, environment: ENVIRONMENT })
  await b.node.ready()
  const sites = [a, b]
  // Balancers begin with nodes that have seen their applications.
  for (const site of sites) await site.readyForClients()
  const doors = [await startHaproxy(lab, sites), await startNginx(lab, sites)]
  const client = new RecordingClient({
    doors,
    accounts: ACCOUNTS,
    isKeyed: true,
    writeHeaders: { 'walcast-ack': 'one' },
    roams: () => true,
  })
  lab.atEnd(async () => void (await client.stop().catch(() => {})))
  await client.advance(STEP_ANSWERS)

  const reads = autocannon({
    url: `${doors[0].url}/accounts`,
    connections: 8,
    overallRate: 100,
    duration: 3600,
  })
  const planned = await phase(client, () => changeLeaders(sites, client, switchovers))
  reads.stop()
  const { errors, timeouts, non2xx } = await reads
  say('planned changes of leader', {
    switchovers,
    ...planned.figures,
    autocannon: { errors, timeouts, non2xx },
  })
  const nodes = await phase(client, () => killNodes(sites, client, kills))
  say('nodes killed', { kills, ...nodes.figures })
  const applications = await phase(client, () => killApplications(sites, client, kills))
  say('applications killed', { kills, ...applications.figures })

  const record = await client.stop()
  const leader = await leaderOf(sites)
  const report = checkHistory(record, await stateOf(lab, leader.db), {
    accounts: ACCOUNTS,
    balance: BALANCE,
    losses: 'unreplicated',
  })
  say('in the end', {
    answers: record.length,
    done: report.done,
    lasting: report.lasting,
    unknown: report.unknown,
  })
  assert.deepEqual(faultsIn(report), [])
  assert.deepEqual(planned.failed.map(describe).slice(0, MAX_TOLD), [])
  assert.deepEqual({ errors, timeouts, non2xx }, { errors: 0, timeouts: 0, non2xx: 0 })
}

function say(what: string, figures: object): void {
  process.stdout.write(`${what}: ${JSON.stringify(figures)}\n`)
}

async function phase(client: RecordingClient, work: () => Promise<object>) {
  const from = client.record.length
  const about = await work()
  const asked = client.record.slice(from)
  const failed = asked.filter((each) => outcomeOf(each) !== 'done')
  const slowest = Math.max(0, ...asked.map(({ startMs, endMs }) => endMs - startMs))
  const figures = {
    asked: asked.length,
    failed: failed.length,
    ...countsOf(failed),
    slowestMs: Math.round(slowest),
    ...about,
  }
  return { failed, figures }
}

/** By status, code and kind. */
function countsOf(failed: readonly Exchange[]): object {
  const counts: Record<string, number> = {}
  for (const { status, code = '', kind } of failed) {
    const name = `${status} ${code} ${kind}`
    counts[name] = (counts[name] ?? 0) + 1
  }
  return Object.keys(counts).length > 0 ? { by: counts } : {}
}

async function leaderOf(sites: readonly RunSite[]): Promise<RunSite> {
  return until('one node leads', async () => {
    const roles = await Promise.all(sites.map(async ({ node }) => (await node.status()).role))
    return roles.filter((role) => role === 'leader').length === 1 ? sites[roles.indexOf('leader')] : undefined
  })
}

/** One leads, the other one follows, and both are ready. */
async function settled(sites: readonly RunSite[]): Promise<RunSite> {
  const leader = await leaderOf(sites)
  for (const site of sites) {
    await site.node.ready()
    await site.readyForClients()
  }
  return leader
}

async function changeLeaders(sites: readonly RunSite[], client: RecordingClient, count: number) {
  const pausesMs: number[] = []
  for (let i = 0; i < count; i++) {
    const leader = await settled(sites)
    const { pauseMs } = await switchover(leader.node)
    pausesMs.push(pauseMs)
    await client.advance(STEP_ANSWERS)
  }
  return { reportedPausesMs: pausesMs.map(Math.round) }
}

async function killNodes(sites: readonly RunSite[], client: RecordingClient, count: number) {
  for (let i = 0; i < count; i++) {
    const leader = await settled(sites)
    const other = sites.find((site) => site !== leader) as RunSite & Backend
    await leader.node.stop('SIGKILL')
    await until('the other node is promoted', () => promote(other.node))
    await client.advance(STEP_ANSWERS)
    await leader.restart()
  }
  await settled(sites)
  return {}
}

async function killApplications(sites: readonly RunSite[], client: RecordingClient, count: number) {
  for (let i = 0; i < count; i++) {
    const leader = await settled(sites)
    const site = i % 2 === 0 ? leader : (sites.find((each) => each !== leader) ?? leader)
    process.kill(await site.applicationPid(), 'SIGKILL')
    await client.advance(STEP_ANSWERS)
  }
  await settled(sites)
  return {}
}
