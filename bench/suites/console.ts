/**
 * How soon the console shows its node, and what a browser has to load for it.
 *
 * A browser (Chromium at `CHROMIUM`, else /usr/bin/chromium) opens the page of a leader with each
 * of `--replicas` replicas, embedded nodes of one process. Each round is a new visit: nothing is in
 * the browser's cache. Times begin with the navigation, by the browser's own clock.
 *
 * - `firstStateMs`: until the first screen shows the state of the node.
 * - `clusterMs`: until the screen Cluster has drawn and listed every node. The node first asks all
 *   of them.
 * - `drawMs`: to go to that screen again, with all that is known, until the next frame.
 * - `bytes`, `brotliBytes`: the files of the page together, as they are and as they are sent.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { spread } from '../arithmetic.ts'
import type { Row } from '../result.ts'
import { type Context, newSetup, type Suite } from '../suite.ts'
import { ReplicaGroups } from '../systems/replicaGroups.ts'
import { startWalcast, walcast } from '../systems/walcast.ts'

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
const FIRST_STATE = 'walcast-first-state'
/** The page is new to the browser at each visit, and the first one starts processes of it. */
const WARM_UP_VISITS = 1

interface Visit {
  readonly firstStateMs: number
  readonly clusterMs: number
  readonly drawMs: number
}

export const consolePage: Suite = {
  hasPeers: false,
  note:
    'firstStateMs: from the navigation to the first state on the page, nothing in the cache; ' +
    'clusterMs: until every node is drawn and listed, once the leader has asked them all; ' +
    'drawMs: to draw and list them again; bytes, brotliBytes: the files of the page together.',
  async run(context) {
    const browser = await launch()
    if (typeof browser === 'string') return [{ system: walcast.name, skipped: browser }]
    const rows: Row[] = []
    try {
      for (const replicas of context.options.replicas)
        rows.push(await measure(context, browser, replicas))
    } finally {
      await browser.close()
    }
    return rows
  },
}

/** A browser, or why there is none. An installed package has no playwright-core beside it. */
async function launch(): Promise<Browser | string> {
  try {
    const { chromium } = await import('playwright-core')
    const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']
    return await chromium.launch({ executablePath: CHROMIUM, args })
  } catch (error) {
    return String(error).split('\n')[0]
  }
}

async function measure(context: Context, browser: Browser, replicas: number): Promise<Row> {
  const setup = newSetup(context, 0)
  await walcast.prepare(setup, 'rows', 0)
  const running = await startWalcast(setup)
  const groups = new ReplicaGroups(setup, { perProcess: replicas, maxPositions: 0 })
  await groups.add(Array(replicas).fill(running.leaderAddress))
  const visits: Visit[] = []
  for (let i = 0; i < context.options.rounds + WARM_UP_VISITS; i++) {
    context.progress(`console: ${replicas} replicas, visit ${i}`)
    visits.push(await visit(browser, running.leaderAddress ?? '', replicas + 1))
  }
  await groups.stop()
  await running.stop()
  const of = (pick: (each: Visit) => number) => spread(visits.slice(WARM_UP_VISITS).map(pick))
  return {
    system: walcast.name,
    replicas,
    rounds: context.options.rounds,
    firstStateMs: of(({ firstStateMs }) => firstStateMs),
    clusterMs: of(({ clusterMs }) => clusterMs),
    drawMs: of(({ drawMs }) => drawMs),
    ...assetSizes(join(context.root, 'dist/console')),
  }
}

async function visit(browser: Browser, address: string, nodes: number): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } })
  try {
    const page = await context.newPage()
    await page.goto(`http://${address}/_walcast/#/cluster`)
    const clusterMs = await drawnMs(page, nodes)
    const firstStateMs = await page.evaluate<number>(
      `performance.getEntriesByName('${FIRST_STATE}')[0].startTime`,
    )
    await page.evaluate("location.hash = '#/node'")
    await page.getByRole('heading', { level: 1, name: 'This node' }).waitFor()
    const fromMs = await page.evaluate<number>("location.hash = '#/cluster', performance.now()")
    return { firstStateMs, clusterMs, drawMs: (await drawnMs(page, nodes)) - fromMs }
  } finally {
    await context.close()
  }
}

/** The browser's time, ms after the navigation, of the first frame with so many nodes on it. */
function drawnMs(page: Page, nodes: number): Promise<number> {
  return page.evaluate<number>(`new Promise((resolve) => {
    const count = (what) => document.querySelectorAll(what).length
    const look = () => {
      const isThere = count('.cluster-drawing .node') >= ${nodes} && count('tbody th') >= ${nodes}
      if (isThere) resolve(performance.now())
      else requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
  })`)
}

function assetSizes(folder: string): { readonly bytes: number; readonly brotliBytes: number } {
  const names = readdirSync(folder)
  const sizeOf = (name: string) => statSync(join(folder, name)).size
  const sent = names.filter((name) => name.endsWith('.br'))
  const sum = (all: readonly string[]) => all.reduce((total, name) => total + sizeOf(name), 0)
  return { bytes: sum(sent.map((name) => name.replace(/\.br$/, ''))), brotliBytes: sum(sent) }
}
