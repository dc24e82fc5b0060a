/**
 * All nodes in one list, from whichever node is asked, also while the leader is dead: over HTTP, at
 * a terminal and in a pipe, as docs/operating/cluster.md says.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import {
  CLUSTER_PATH,
  type ClusterAnswer,
  type ClusterNode,
} from '../../src/api/clusterOverview.ts'
import { displayWidth } from '../../src/cli/displayWidth.ts'
import { campaignTest, type Lab, labTest } from '../support/lab.ts'
import { CLI } from '../support/paths.ts'
import type { TestNode } from '../support/testNode.ts'
import { until, within } from '../support/until.ts'

const SECRET = 'correct horse battery staple'
const PAGE = readFileSync(
  fileURLToPath(new URL('../../../docs/operating/cluster.md', import.meta.url)),
  'utf8',
)
const ENTER = '\u001b[?1049h'
const LEAVE = '\u001b[?1049l'
const HOME = '\u001b[H'

type Step = readonly [text: string, act: 'type' | 'columns' | 'kill' | 'see', value: unknown]

async function clusterOf(node: TestNode): Promise<ClusterAnswer> {
  const { status, text } = await node.get(CLUSTER_PATH)
  assert.equal(status, 200, text)
  return JSON.parse(text)
}

function rowOf({ nodes }: ClusterAnswer, node: string): ClusterNode {
  const row = nodes.find((each) => each.node === node)
  assert.ok(row, `${node} is not in ${JSON.stringify(nodes)}`)
  return row
}

/** The list that `node` answers once it is as wanted. */
async function untilSeen(
  node: TestNode,
  what: string,
  isSo: (answer: ClusterAnswer) => boolean,
): Promise<ClusterAnswer> {
  return until(what, async (saw) => {
    const answer = await clusterOf(node)
    saw(JSON.stringify(answer))
    return isSo(answer) && answer
  })
}

/** A leader and its replicas, level with each other. */
async function clusterIn(
  lab: Lab,
  names: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<TestNode[]> {
  const db = lab.path('a.db')
  await lab.prepare(db, 'PRAGMA journal_mode=WAL', 'CREATE TABLE t (x)')
  const named = (node: string) => ({ environment, flags: ['--name', node] })
  const [first, ...others] = names
  const leader = await lab.leader(db, named(first))
  const replicas = await Promise.all(
    others.map((node) => lab.replica(lab.path(`${node}.db`), leader, named(node))),
  )
  const nodes = [leader, ...replicas]
  await Promise.all(nodes.map((node) => node.ready()))
  await lab.exec(db, 'INSERT INTO t VALUES (1)')
  return nodes
}

async function kill(lab: Lab, node: TestNode): Promise<void> {
  node.kill('SIGKILL')
  lab.mayEnd(node)
  await node.child.ended
}

async function run(lab: Lab, args: readonly string[], environment?: Record<string, string>) {
  const child = lab.cli(args, environment)
  child.expectEnd()
  const { code } = await child.ended
  return { code, out: child.out, err: child.err.join('\n') }
}

/** At a terminal of its own. Gives what each picture showed. */
async function watch(lab: Lab, args: readonly string[], steps: readonly Step[]) {
  const argv = [process.execPath, CLI, ...args]
  const child = lab.python('watching', { argv, columns: 80, rows: 24, steps })
  child.expectEnd()
  await within(args.join(' '), child.ended)
  const { code, shown, left } = JSON.parse(child.out.join(''))
  assert.deepEqual(left, [], shown)
  return { code: Number(code), shown: String(shown), pictures: String(shown).split(HOME).slice(1) }
}

for (const environment of [{}, { WALCAST_SECRET: SECRET }])
  labTest(`each node tells of all, ${Object.keys(environment)[0] ?? 'open'}`, async (lab) => {
    const names = ['node-a', 'node-b', 'node-c']
    const nodes = await clusterIn(lab, names, environment)
    const [a, b, c] = nodes
    const { epoch, txid } = await a.status()
    for (const [at, node] of nodes.entries()) {
      const answer = await untilSeen(node, 'three nodes that answer, at one position', (seen) =>
        names.every((each) =>
          seen.nodes.some(
            (row) => row.node === each && row.isReachable && row.position === `${epoch}-${txid}`,
          ),
        ),
      )
      assert.deepEqual([answer.asked, answer.leader], [names[at], 'node-a'])
      assert.deepEqual([answer.epoch, answer.database], [epoch, 'main'])
      assert.deepEqual(
        answer.nodes.map((row) => [row.node, row.role, row.state, row.isReachable, row.ack]),
        [
          ['node-a', 'leader', 'capturing', true, 'local'],
          ['node-b', 'replica', 'streaming', true, 'local'],
          ['node-c', 'replica', 'streaming', true, 'local'],
        ],
      )
      assert.equal(rowOf(answer, 'node-c').address, c.address)
      for (const row of answer.nodes) assert.ok(row.roleSince, `${row.node} has its first role`)
    }
    await kill(lab, a)
    const without = await untilSeen(b, 'the leader is away', (seen) =>
      seen.nodes.some((row) => row.node === 'node-a' && !row.isReachable),
    )
    const dead = rowOf(without, 'node-a')
    assert.deepEqual([without.leader, dead.role, dead.state], [null, 'leader', 'away'])
    assert.equal(dead.position, `${epoch}-${txid}`)
    assert.ok(Date.parse(dead.awaySince ?? '') <= Date.now())
    assert.match(dead.causes[0].text, /does not answer node-b/)
    assert.match(dead.causes[0].text, /refused: no process listens there; start the node/)
    assert.equal(rowOf(without, 'node-c').isReachable, true)
  })

campaignTest(
  'walcast cluster at a terminal and in a pipe, before and after a death',
  async (lab) => {
    const environment = { WALCAST_SECRET: SECRET }
    const [a, b] = await clusterIn(lab, ['node-a', 'node-b'], environment)
    const local = ['--db', b.db]
    const commands = [...PAGE.matchAll(/^ {4}(?:\$ )?walcast (.*)$/gm)].map(([, each]) => each)
    assert.deepEqual(commands, [
      ...['cluster', 'cluster', 'cluster --watch', 'cluster --watch --json'],
      ...['cluster --wide', 'cluster --json'],
    ])

    const whole = await run(lab, ['cluster', ...local])
    assert.equal(whole.code, 0, whole.err)
    assert.match(whole.out.join('\n'), /^node-b \* +replica +streaming +1-2 /m)
    for (const line of whole.out) assert.ok(displayWidth(line) <= 80, line)
    const wide = await run(lab, ['cluster', '--wide', ...local])
    assert.match(wide.out.join('\n'), new RegExp(`^node-a +leader .* ${a.address} .* local`, 'm'))
    const json = await run(lab, ['cluster', '--json', ...local])
    assert.equal(JSON.parse(json.out.join('')).leader, 'node-a')
    const byId = await run(lab, ['cluster', 'node-a', '--json', ...local], environment)
    assert.equal(JSON.parse(byId.out.join('')).asked, 'node-a')

    // Each step waits for a new picture, so the second answer comes after the death of the leader.
    const watched = await watch(
      lab,
      ['cluster', '--watch', '--interval', '500ms', ...local],
      [
        ['streaming', 'kill', [a.pid, constants.signals.SIGKILL]],
        ['NONE: no node that answers leads', 'columns', 70],
        [HOME, 'see', ''],
        ['away ', 'type', 'q'],
      ],
    )
    lab.mayEnd(a)
    assert.equal(watched.code, 0, watched.shown)
    assert.ok(watched.shown.startsWith(ENTER) && watched.shown.trimEnd().endsWith(LEAVE))
    const last = watched.pictures.findLast((picture) => picture.includes('node-b *')) ?? ''
    const table = stripVTControlCharacters(last).split('\n').slice(6)
    assert.ok(table.length > 2)
    for (const line of table) assert.ok(displayWidth(line.trimEnd()) <= 70, line)
    assert.ok(last.includes('\u001b[31maway '))

    for (const command of ['status', 'lag', 'audit']) {
      const args = [command, '--watch', ...local]
      const { code, pictures } = await watch(lab, args, [['q ends it', 'type', '\u0003']])
      assert.equal(code, 0)
      assert.match(pictures[0], new RegExp(`^walcast ${command}, \\d{4}-`))
    }

    const piped = lab.cli(['cluster', '--watch', '--interval', '500ms', ...local])
    const first = await piped.line((line) => /^\d{4}-\d\d-\d\dT.*Z$/.test(line))
    const dead = await piped.line((line) => /^node-a +leader +away \d+ s/.test(line), first.at)
    await piped.line((line) => /^\d{4}-\d\d-\d\dT.*Z$/.test(line), dead.at)
    await piped.stop()
    const lines = lab.cli(['cluster', '--watch', '--json', '--interval', '500ms', ...local])
    const second = await lines.line(() => true, (await lines.line(() => true)).at + 1)
    assert.equal(JSON.parse(second.text).leader, null)
    await lines.stop()

    for (const [args, wrong] of [
      [['--watch', '--interval', '5ms'], /--interval wants a time from 500ms to 1h/],
      [['--interval', '5s'], /--interval goes with --watch/],
    ] as const) {
      const { code, err } = await run(lab, ['cluster', ...args, ...local])
      assert.equal(code, 2)
      assert.match(err, wrong)
    }
  },
)
