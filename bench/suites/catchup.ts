/** The first copy of a large database, against cp of the same file. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { spread } from '../arithmetic.ts'
import { memoryOf, watchMemory } from '../procfs.ts'
import type { Row } from '../result.ts'
import { type Context, newSetup, type Suite } from '../suite.ts'
import type { Setup } from '../system.ts'
import { startWalcast, walcast } from '../systems/walcast.ts'

const COPY_TIMEOUT_MS = 600_000

interface Round {
  readonly cpSeconds: number
  readonly leaderStartSeconds: number
  readonly copySeconds: number
  readonly leaderRssMb: number
  readonly replicaRssMb: number
  readonly fileMb: number
}

export const catchup: Suite = {
  hasPeers: false,
  note:
    'copySeconds: from the start of the replica process to its being ready, with every page verified and the file synced; cpSeconds: cp and sync of the ' +
    'same file. ratio cp/copy: 1 is as fast as cp. leaderStartSeconds: the leader reads the database once when it starts. RSS: largest meanwhile.',
  async run(context) {
    const rows: Row[] = []
    for (const pin of context.options.pins) {
      context.processes.pinning = pin.pinning
      const rounds: Round[] = []
      for (let i = 1; i <= context.options.rounds; i++) {
        context.progress(`catchup: ${context.options.databaseMb} MB, pin ${pin.text}, round ${i}`)
        rounds.push(await measure(context))
      }
      rows.push(toRow(pin.text, rounds))
    }
    return rows
  },
}

async function measure(context: Context): Promise<Round> {
  const setup = newSetup(context, 0)
  await walcast.prepare(setup, 'blobs', context.options.databaseMb)
  const cpSeconds = await timeCp(context, setup)
  const leaderFromMs = performance.now()
  const running = await startWalcast(setup)
  const leaderStartSeconds = (performance.now() - leaderFromMs) / 1000
  const startPeak = memoryOf(running.nodes[0].pid).peakRssBytes
  const copyFromMs = performance.now()
  const added = running.addReplica()
  const memory = watchMemory(await nodesOnceStarted(running))
  await added
  const copySeconds = (performance.now() - copyFromMs) / 1000
  const watched = memory.stop()
  const peaks = running.nodes.map((node) => memoryOf(node.pid).peakRssBytes)
  const [leaderRss, replicaRss] = peaks.map((peak, i) => Math.max(peak, watched[i], i === 0 ? startPeak : 0))
  await running.verify()
  await running.stop()
  const fileMb = (await stat(join(setup.folder, 'leader.db'))).size / 1e6
  await context.processes.run({ name: 'rm', file: 'rm', args: ['-rf', setup.folder] }, COPY_TIMEOUT_MS)
  const rss = { leaderRssMb: leaderRss / 1e6, replicaRssMb: replicaRss / 1e6 }
  return { cpSeconds, leaderStartSeconds, copySeconds, fileMb, ...rss }
}

/** The replica's process is there before its port is asked for the first time. */
async function nodesOnceStarted(running: { readonly nodes: readonly { pid: number }[] }): Promise<number[]> {
  while (running.nodes.length < 2) await new Promise((resolve) => setTimeout(resolve, 1))
  return running.nodes.map((node) => node.pid)
}

async function timeCp(context: Context, setup: Setup): Promise<number> {
  const { processes } = context
  const target = join(setup.folder, 'cp.db')
  const fromMs = performance.now()
  await processes.run(
    { name: 'cp', file: 'cp', args: [join(setup.folder, 'leader.db'), target] },
    COPY_TIMEOUT_MS,
  )
  await processes.run({ name: 'sync', file: 'sync', args: [target] }, COPY_TIMEOUT_MS)
  const seconds = (performance.now() - fromMs) / 1000
  await processes.run({ name: 'rm', file: 'rm', args: [target] }, COPY_TIMEOUT_MS)
  return seconds
}

function toRow(pin: string, rounds: readonly Round[]): Row {
  const of = (pick: (round: Round) => number) => spread(rounds.map(pick))
  return {
    system: walcast.name,
    pin,
    fileMb: of((round) => round.fileMb).median,
    cpSeconds: of((round) => round.cpSeconds),
    copySeconds: of((round) => round.copySeconds),
    ratio: of((round) => round.cpSeconds / round.copySeconds),
    megabytesPerSecond: of((round) => round.fileMb / round.copySeconds),
    leaderStartSeconds: of((round) => round.leaderStartSeconds),
    leaderRssMb: of((round) => round.leaderRssMb),
    replicaRssMb: of((round) => round.replicaRssMb),
  }
}
