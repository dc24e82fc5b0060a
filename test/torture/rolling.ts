/**
 * A leader and two replicas of the version before keys, changed to this version node by node while
 * clients write through all three: with --old-signatures first, then without it, then to TLS.
 * Leadership moves between the versions in every direction meanwhile. Not part of `npm test`: it
 * needs the old version, which `scripts/torture rolling` builds from the repository's history.
 *
 *   scripts/torture rolling [--rounds N]
 *
 * A client leaves a node before that node is restarted, as one behind a load balancer does. Exit 0
 * when no write failed, each acknowledged note is in all three databases exactly once, and these
 * are the same page by page.
 */
import assert from 'node:assert/strict'
import { parseArgs } from 'node:util'
import { Lab, requireSame } from '../support/lab.ts'
import { type AuditEntry, audit, switchover } from '../support/leadership.ts'
import { type Site, startNotes } from '../support/notesCluster.ts'
import { NotesWriter } from '../support/notesWriter.ts'
import type { TestNode } from '../support/testNode.ts'

const FLAGS = ['--hold', '60s', '--peer-look', '200ms']
const OLD_SIGNATURES = '--old-signatures'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '1' }, old: { type: 'string' } },
})
const oldProgram = values.old
if (oldProgram === undefined) throw new Error('--old FILE: the command line of the old version')
for (let round = 1; round <= Number(values.rounds); round++) {
  const lab = new Lab()
  try {
    await run(lab, round, oldProgram)
  } catch (error) {
    const why = error instanceof Error ? error.stack : String(error)
    process.stdout.write(`FAILED: ${why}\n${lab.tails().join('\n')}\n`)
    process.exitCode = 1
    break
  } finally {
    await lab.close()
  }
}

/** The nodes, and the clients of each. */
interface Rolling {
  readonly lab: Lab
  /** By the name of the file. */
  readonly sites: Map<string, Site>
  /** One at each node, by the same names. */
  readonly writers: ReadonlyMap<string, NotesWriter>
}

async function run(lab: Lab, round: number, old: string): Promise<void> {
  const started = await startNotes(lab, {
    replicaFlags: FLAGS,
    leaderFlags: FLAGS,
    oldProgram: old,
  })
  const all = [started.leader, ...started.replicas]
  const names = ['a', 'b', 'c']
  const sites = new Map(names.map((name, i) => [name, all[i]]))
  const writers = new Map(names.map((name, i) => [name, new NotesWriter(all[i], name)]))
  const rolling = { lab, sites, writers }
  await goOn(rolling)
  await change(rolling)
  const failed = (await Promise.all([...writers.values()].map((writer) => writer.stop()))).flat()
  const acknowledged = [...writers.values()].flatMap((writer) => writer.acknowledged)
  const lost = await requireKept(rolling, acknowledged)
  process.stdout.write(
    `round ${round}: ${acknowledged.length} writes acknowledged, ${failed.length} failed, ` +
      `${lost.length} lost or doubled\n`,
  )
  assert.deepEqual([failed, lost], [[], []])
  for (const name of ['a', 'c']) await requireSame(lab, nodeOf(rolling, 'b'), nodeOf(rolling, name))
}

async function change(rolling: Rolling): Promise<void> {
  const mixed = [OLD_SIGNATURES]
  await restart(rolling, 'b', 'to this version', { add: mixed })
  await handOver(rolling, 'b', 'b', 'old to new, asked at the new one')
  await handOver(rolling, 'b', 'a', 'new to old, asked at the new one')
  await handOver(rolling, 'a', 'b', 'old to new, asked at the old one')
  await handOver(rolling, 'c', 'c', 'new to old, asked at the old one')
  await handOver(rolling, 'c', 'a', 'old to old, a new one follows')
  await restart(rolling, 'c', 'to this version', { add: mixed })
  await handOver(rolling, 'c', 'c', 'old to new, asked at the new one')
  await handOver(rolling, 'a', 'b', 'new to new, asked at the old one')
  await restart(rolling, 'a', 'to this version', { add: mixed })
  await eachWithLeaderLast(rolling, 'without the option', { drop: mixed })
  await eachWithLeaderLast(rolling, 'to TLS', { add: ['--tls'] })
}

/** Leadership is at b, and comes back there. */
async function eachWithLeaderLast(rolling: Rolling, what: string, flags: Flags): Promise<void> {
  await restart(rolling, 'a', what, flags)
  await restart(rolling, 'c', what, flags)
  await handOver(rolling, 'b', 'a', what)
  await restart(rolling, 'b', what, flags)
  await handOver(rolling, 'b', 'b', what)
}

interface Flags {
  readonly add?: readonly string[]
  readonly drop?: readonly string[]
}

/** The node is one of this version afterwards, and ready. */
async function restart(
  rolling: Rolling,
  name: string,
  what: string,
  { add = [], drop = [] }: Flags,
): Promise<void> {
  const { lab, sites, writers } = rolling
  const site = siteOf(rolling, name)
  const [other] = [...sites].filter(([each]) => each !== name)
  const own = writers.get(name)
  await own?.moveTo(other[1])
  const before = await keptBy(site.node)
  await site.node.stop()
  const kept = (site.node.options.flags ?? []).filter((flag) => !drop.includes(flag))
  const options = { flags: [...kept, ...add], oldProgram: undefined }
  const node = await lab.restart(site.node, options, 'node')
  await node.ready()
  // Its folder was read whole, and its copy is where it was.
  const after = await keptBy(node)
  assert.equal(after.node, before.node)
  assert.deepEqual(after.audit.slice(0, before.audit.length), before.audit)
  assert.deepEqual(node.logged('"mode":"sync"'), [])
  const back = { ...site, node }
  sites.set(name, back)
  await own?.moveTo(back)
  await goOn(rolling, `${name} restarted: ${what}`)
}

/** What a node keeps over a restart: its id and its audit log. */
async function keptBy(node: TestNode): Promise<{
  readonly node: string
  readonly audit: readonly AuditEntry[]
}> {
  return { node: (await node.status()).node, audit: await audit(node) }
}

async function handOver(rolling: Rolling, by: string, to: string, what: string): Promise<void> {
  const { pauseMs } = await switchover(nodeOf(rolling, by), { to: nodeOf(rolling, to).address })
  await goOn(rolling, `leadership went to ${to} in ${Math.round(pauseMs)} ms: ${what}`)
  const { role } = await nodeOf(rolling, to).status()
  assert.equal(role, 'leader')
}

/** Each client has written some more notes, and every replica gets them. */
async function goOn({ writers }: Rolling, done?: string): Promise<void> {
  if (done !== undefined) process.stdout.write(`  ${done}\n`)
  await Promise.all([...writers.values()].map((writer) => writer.goOn()))
  assert.deepEqual(
    [...writers.values()].flatMap((writer) => writer.failed),
    [],
  )
}

/** Acknowledged notes that are not in the leader's database exactly once. */
async function requireKept(rolling: Rolling, acknowledged: readonly string[]): Promise<string[]> {
  const session = rolling.lab.sql(nodeOf(rolling, 'b').db, { readOnly: true })
  const rows = await session.rows('SELECT body, count(*) FROM notes GROUP BY body')
  await session.close()
  const times = new Map(rows.map(([body, count]) => [String(body), Number(count)]))
  return acknowledged.filter((body) => times.get(body) !== 1)
}

function siteOf({ sites }: Rolling, name: string): Site {
  const site = sites.get(name)
  if (site === undefined) throw new Error(`no node ${name}`)
  return site
}

function nodeOf(rolling: Rolling, name: string): TestNode {
  return siteOf(rolling, name).node
}
