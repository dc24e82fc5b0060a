/**
 * Planned changes of leader beside applications that boot slowly: no request fails, and the
 * reported pause is the one that clients felt.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { SwitchoverAnswer } from '../../src/api/roleAnswers.ts'
import { freePort, freePortRow } from '../../src/cli/freePorts.ts'
import { ApplicationSite } from '../support/applicationSites.ts'
import { campaignTest, type Lab, labTest } from '../support/lab.ts'
import { switchover } from '../support/leadership.ts'
import { PROGRAMS } from '../support/paths.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'

const SWITCHOVERS = 4
const BOOT_MS = Number(process.env['BOOT_MS'] ?? 700)
const TABLE = ['PRAGMA journal_mode = wal', 'CREATE TABLE t (v)']

interface Site {
  readonly name: string
  readonly node: TestNode
  /** URL of the public side. */
  readonly url: string
}

interface Asked {
  readonly method: string
  readonly startMs: number
  readonly endMs: number
  /** '' when the request succeeded. */
  readonly failure: string
}

/** Three clients that write and two that read, each at both nodes in turn. */
class Load {
  readonly asked: Asked[] = []
  #isStopped = false
  readonly #running: Promise<unknown>

  constructor(sites: readonly Site[]) {
    const clients = ['POST', 'POST', 'POST', 'GET', 'GET'].map((method, i) =>
      this.#run(sites, method, i),
    )
    this.#running = Promise.all(clients)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  get writes(): number {
    return this.asked.filter(({ method }) => method === 'POST').length
  }

  get failures(): readonly string[] {
    return this.asked.flatMap(({ method, failure }) =>
      failure === '' ? [] : [`${method}: ${failure}`],
    )
  }

  /** Waits until every node has answered a new request of each kind. */
  async goesOn(): Promise<void> {
    const from = this.asked.length
    await until('requests are answered', (saw) => {
      saw(String(this.asked.length))
      return ['GET', 'POST'].every(
        (kind) => this.asked.slice(from).filter(({ method }) => method === kind).length >= 12,
      )
    })
  }

  /** The longest time without an answer to requests of this method, while there were any. */
  longestGapMs(method: string, fromMs: number, toMs: number): number {
    const ends = this.asked
      .filter((each) => each.method === method && each.failure === '')
      .map(({ endMs }) => endMs)
      .filter((ms) => ms <= toMs)
      .sort((a, b) => a - b)
    // The last answer before counts: the first one after it may be the one that clients waited for.
    const first = ends.findLastIndex((ms) => ms < fromMs)
    return ends
      .slice(Math.max(0, first))
      .reduce((longest, ms, i, all) => (i === 0 ? 0 : Math.max(longest, ms - all[i - 1])), 0)
  }

  async #run(sites: readonly Site[], method: string, client: number): Promise<void> {
    for (let i = client; !this.#isStopped; i++) {
      const startMs = performance.now()
      const failure = await request(`${sites[i % sites.length].url}/t`, method, `${client}-${i}`)
      this.asked.push({ method, startMs, endMs: performance.now(), failure })
      await delay(15)
    }
  }
}

async function request(url: string, method: string, value: string): Promise<string> {
  try {
    const body = method === 'POST' ? { body: value } : {}
    const answer = await fetch(url, { method, ...body, signal: AbortSignal.timeout(60_000) })
    const text = await answer.text()
    return answer.status === 200 ? '' : `${answer.status} ${text.slice(0, 160)}`
  } catch (error) {
    return String(Object(error).cause?.code ?? error)
  }
}

const appOptions = (db: string, name: string, more: object = {}) =>
  JSON.stringify({ db, name, bootMs: BOOT_MS, ...more })

/** A node by `walcast run` with its application. */
async function runSite(
  lab: Lab,
  name: string,
  leader: string | undefined,
  flags: readonly string[],
) {
  const db = lab.path(`${name}.db`)
  if (!leader) await lab.exec(db, ...TABLE)
  const [port, proxy] = [await freePort(), await freePort()]
  const places = ['--db', db, '--listen', `127.0.0.1:${port}`, '--proxy', `127.0.0.1:${proxy}`]
  const all = [...places, ...(leader ? ['--leader', leader] : []), ...flags]
  const app = join(PROGRAMS, 'bootingApp.js')
  const command = [process.execPath, app, appOptions(db, name)]
  const child = lab.cli(['run', ...all, '--', ...command], {
    PORT: flags[flags.indexOf('--upstream') + 1]?.split(':')[2] ?? '',
  })
  await child.errorLine((line) => line.includes('"msg":"running"'))
  await child.line((line) => line.includes('"listens"'))
  const node = lab.nodeOf('node', { db, port }, child)
  return { name, node, url: `http://127.0.0.1:${proxy}` }
}

/**
 * Hands over and back, `SWITCHOVERS` times in all. Calls `before` with target and leader before
 * each.
 */
async function handOver(
  sites: readonly [Site, Site],
  before: (to: Site, from: Site) => Promise<void> = async () => {},
) {
  const load = new Load(sites)
  await load.goesOn()
  const told: {
    readonly answer: SwitchoverAnswer
    readonly feltMs: number
    readonly readsMs: number
  }[] = []
  for (let i = 0; i < SWITCHOVERS; i++) {
    const [from, to] = i % 2 === 0 ? sites : [sites[1], sites[0]]
    const fromMs = performance.now()
    await before(to, from)
    const answer = (await switchover(from.node, {
      to: to.node.address,
    })) as unknown as SwitchoverAnswer
    await load.goesOn()
    const gapMs = (method: string) => load.longestGapMs(method, fromMs, performance.now())
    told.push({ answer, feltMs: gapMs('POST'), readsMs: gapMs('GET') })
    // Each application has restarted before the next change.
    for (const { url } of sites)
      await until(
        'its public side is ready',
        async () => (await fetch(`${url}/readyz`)).status === 200,
      )
  }
  await load.stop()
  return { load, told }
}

/** No request failed, and the reported pause is the one that clients felt. */
async function requireClean(
  lab: Lab,
  t: TestContext,
  { load, told }: Awaited<ReturnType<typeof handOver>>,
  sites: readonly Site[],
) {
  assert.deepEqual(load.failures, [])
  for (const { answer, feltMs, readsMs } of told) {
    const { pauseMs, stages } = answer
    assert.ok(stages.applicationMs >= 0 && pauseMs >= stages.applicationMs, JSON.stringify(answer))
    t.diagnostic(
      `pause told ${Math.round(pauseMs)} ms, felt ${Math.round(feltMs)} ms; ` +
        `reads ${Math.round(readsMs)} ms`,
    )
  }
  const sql = lab.sql(sites[0].node.db, { readOnly: true })
  const [[count]] = (await sql.rows('SELECT count(*) FROM t')) as [[number]]
  await sql.close()
  assert.equal(count, load.writes)
}

for (const kind of ['one port', 'a port pair'] as const)
  labTest(
    `walcast run with ${kind}: four switchovers under load fail no request`,
    async (lab, t) => {
      const flags = async () =>
        kind === 'one port'
          ? ['--upstream', `http://127.0.0.1:${await freePort()}`]
          : ['--ports', await freePortRow(2).then((port) => `${port},${port + 1}`)]
      const first = await runSite(lab, 'first', undefined, await flags())
      const second = await runSite(lab, 'second', first.node.address, await flags())
      const sites = [first, second] as const
      const result = await handOver(sites)
      await requireClean(lab, t, result, sites)
      for (const { answer } of result.told)
        assert.ok(
          answer.stages.applicationMs >= BOOT_MS / 2,
          'the boot of the application is part of the pause',
        )
    },
  )

campaignTest(
  'the application of the new leader boots late, and no request fails',
  async (lab, t) => {
    const options = { bootMs: BOOT_MS }
    const first = await ApplicationSite.start(lab, 'first', undefined, options)
    const second = await ApplicationSite.start(lab, 'second', first.node, options)
    const sites = [first, second] as const
    // Starts the new leader's application in its new role, as a supervisor of the operator would.
    const result = await handOver(sites, (to) => (to === first ? first : second).startApp('leader'))
    await requireClean(lab, t, result, sites)
  },
)
