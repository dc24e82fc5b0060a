/**
 * Scrub and verify with real processes: no false alarm, and rotten pages are found, reported and
 * repaired.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import type { PositionsAnswer } from '../../src/api/checks.ts'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Lab, labTest, requireSame } from '../support/lab.ts'
import { PYTHON } from '../support/paths.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase, Reader, Writer } from '../support/workload.ts'

const OFTEN = ['--scrub-rate', '200MiB', '--scrub-every', '200ms']
const NEVER = ['--scrub-rate', '0']
const FOUND = 'rotten pages: '

interface Cluster {
  readonly leader: TestNode
  readonly replica: TestNode
}

/** Has a table `quiet` that no writer touches. */
async function start(
  lab: Lab,
  flags: readonly string[],
  leaderFlags: readonly string[] = [],
): Promise<Cluster> {
  const leader = await startLeader(lab, [...flags, ...leaderFlags])
  const replicaFlags = [...flags, '--reconnect-max', '200ms', '--idle', '200ms']
  const replica = await lab.replica(lab.path('a-replica.db'), leader, { flags: replicaFlags })
  return { leader, replica: await replica.ready() }
}

async function startLeader(lab: Lab, flags: readonly string[], name = 'a'): Promise<TestNode> {
  const db = lab.path(`${name}-leader.db`)
  await makeDatabase(lab, db)
  await lab.exec(db, 'CREATE TABLE quiet AS SELECT randomblob(2000) AS v FROM accounts')
  return lab.leader(db, { flags })
}

/** Pages of the table `quiet`. */
async function quietPages(lab: Lab, db: string): Promise<number[]> {
  const session = lab.modernSql(db)
  const rows = await session.rows(
    "SELECT pageno FROM dbstat WHERE name = 'quiet' AND pagetype = 'leaf' ORDER BY pageno",
  )
  await session.close()
  return rows.map(([page]) => Number(page))
}

async function rot(lab: Lab, path: string, pages: readonly number[]): Promise<void> {
  const child = lab.python('rot', { path, pageSize: 4096, pages })
  child.expectEnd()
  assert.equal((await child.ended).code, 0)
}

/**
 * The bytes of a page in the file itself, without the WAL. Another process reads them: see
 * pinnedFiles.ts.
 */
function pageInFile(path: string, page: number): string {
  const program =
    'import os,sys; print(os.pread(os.open(sys.argv[1], os.O_RDONLY), 4096, ' +
    '(int(sys.argv[2])-1)*4096).hex())'
  return execFileSync(PYTHON, ['-c', program, path, String(page)], { encoding: 'utf8' })
}

async function scrubOf(node: TestNode) {
  const { scrub } = await node.status()
  assert.ok(scrub)
  return scrub
}

async function verify(lab: Lab, nodes: readonly string[], ...more: readonly string[]) {
  const child = lab.cli(['verify', ...nodes.flatMap((node) => ['--node', node]), ...more])
  child.expectEnd()
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

async function hasWorked(node: TestNode): Promise<boolean> {
  const passes = await node.metric('walcast_scrub_passes_total')
  return passes > 3 && (await node.metric('walcast_checkpoints_total')) > 3
}

labTest('scrub passes beside writers and checkpoints raise no alarm', async (lab) => {
  const often = [...OFTEN.slice(0, 2), '--scrub-every', '50ms']
  const { leader, replica } = await start(lab, often, ['--soft-wal', '200', '--hard-wal', '300'])
  const writers = [
    new Writer(lab, 'node', {
      path: leader.db,
      name: 'a',
      seed: 1,
      pauseMs: 0,
      autocheckpoint: 100,
    }),
    new Writer(lab, 'python', { path: leader.db, name: 'b', seed: 2, pauseMs: 0 }),
  ]
  for (const writer of writers) await writer.advance(200)
  for (const node of [leader, replica])
    await until('passes beside checkpoints', () => hasWorked(node))
  for (const writer of writers) await writer.stop()
  for (const node of [leader, replica]) {
    assert.equal(await node.metric('walcast_scrub_mismatches_total'), 0)
    assert.equal(await node.metric('walcast_scrub_unexplained'), 0)
    assert.deepEqual(node.logged(FOUND), [])
    assert.equal(await node.metric('walcast_refused_messages_total'), 0)
  }
  await requireSame(lab, leader, replica)
})

labTest('rotten pages of a replica are found and repaired beside a reader', async (lab) => {
  const { leader, replica } = await start(lab, OFTEN)
  const writer = new Writer(lab, 'node', { path: leader.db, name: 'a', seed: 3, pauseMs: 2 })
  const pages = (await quietPages(lab, replica.db)).slice(0, 3)
  await until('a pass', async () => (await scrubOf(replica)).passes > 0)
  const reader = new Reader(lab, { path: replica.db })
  const right = pages.map((page) => pageInFile(replica.db, page))
  await rot(lab, replica.db, pages)
  await until('found', async () => (await replica.metric('walcast_scrub_mismatches_total')) === 3)
  await until('repaired', async () => (await replica.metric('walcast_scrub_repaired_total')) === 3)
  assert.equal(await replica.metric('walcast_scrub_unexplained'), 0)
  await writer.advance(20)
  await writer.stop()
  await requireSame(lab, leader, replica)
  const told = replica.logged(FOUND).flatMap((line) => JSON.parse(line).pages as number[])
  assert.deepEqual(
    told.sort((a, b) => a - b),
    pages,
  )
  assert.equal(replica.logged('are right again').length > 0, true)
  assert.ok((await reader.stop()).passes > 1)
  await until('the file itself is right', () =>
    pages.every((page, i) => pageInFile(replica.db, page) === right[i]),
  )
  const { passes } = await scrubOf(replica)
  await until('more passes', async () => (await scrubOf(replica)).passes > passes + 2)
  assert.equal(await replica.metric('walcast_scrub_mismatches_total'), 3)
})

labTest('a page that rots while the leader is away is repaired on its return', async (lab) => {
  const { leader, replica } = await start(lab, OFTEN)
  const [page] = await quietPages(lab, replica.db)
  await until('a pass', async () => (await scrubOf(replica)).passes > 0)
  await leader.stop()
  await rot(lab, replica.db, [page])
  await until('found', async () => (await replica.metric('walcast_scrub_unexplained')) === 1)
  const { passes } = await scrubOf(replica)
  await until('more passes', async () => (await scrubOf(replica)).passes > passes + 2)
  assert.equal((await scrubOf(replica)).unexplained, 1)
  assert.equal(
    (await replica.get('/readyz')).status,
    200,
    'readers go on: there is nobody else to ask',
  )
  await lab.restart(leader)
  await until('repaired', async () => (await replica.metric('walcast_scrub_repaired_total')) === 1)
  assert.equal(await replica.metric('walcast_scrub_mismatches_total'), 1)
  await requireSame(lab, leader, replica)
})

labTest('a rotten page of the leader raises one alarm', async (lab) => {
  const leader = await startLeader(lab, OFTEN)
  const [page] = await quietPages(lab, leader.db)
  await until('a pass', async () => (await scrubOf(leader)).passes > 0)
  await rot(lab, leader.db, [page])
  await until('found', async () => (await leader.metric('walcast_scrub_unexplained')) === 1)
  const { passes } = await scrubOf(leader)
  await until('more passes', async () => (await scrubOf(leader)).passes > passes + 3)
  assert.equal(leader.logged(FOUND).length, 1)
  assert.equal(JSON.parse(leader.logged(FOUND)[0]).level, 'error')
  assert.deepEqual((await scrubOf(leader)).rotten, [page])
  assert.equal(await leader.metric('walcast_scrub_mismatches_total'), 1)
  // Restores the page by flipping the same bytes again.
  await rot(lab, leader.db, [page])
  await until('right again', async () => (await leader.metric('walcast_scrub_unexplained')) === 0)
})

labTest(
  'verify beside writers: 0 when sound; names a rotten page and exits with 1',
  async (lab) => {
    const { leader, replica } = await start(lab, NEVER)
    const nodes = [leader.address, replica.url]
    const writer = new Writer(lab, 'node', { path: leader.db, name: 'a', seed: 5 })
    for (let i = 0; i < 2; i++) {
      const { code, out, err } = await verify(lab, nodes)
      assert.equal(code, 0, out)
      assert.match(out, /the same state at \d+-\d+: [0-9a-f]{16}/)
      assert.equal(out.split('none rotten').length, 3, out)
      assert.equal(err, '', 'progress is for terminals')
    }
    const [page] = await quietPages(lab, replica.db)
    await until(
      'the page is in the file',
      async () => (await replica.status()).walBytes < 4_000_000,
    )
    await rot(lab, replica.db, [page])
    const found = await verify(lab, nodes)
    assert.equal(found.code, 1, found.out)
    assert.ok(found.out.includes(`1 rotten: ${page} (being repaired from the leader)`), found.out)
    await until(
      'repaired',
      async () => (await replica.metric('walcast_scrub_repaired_total')) === 1,
    )
    const after = await verify(lab, nodes, '--json')
    assert.equal(after.code, 0, after.out)
    assert.equal(JSON.parse(after.out).agreement.same, true)
    assert.ok((await writer.stop()).commits > 50)
    await requireSame(lab, leader, replica)
  },
)

labTest('verify says why nodes cannot be compared', async (lab) => {
  const one = await startLeader(lab, NEVER)
  const other = await startLeader(lab, NEVER, 'b')
  const strangers = await verify(lab, [one.address, other.address])
  assert.equal(strangers.code, 1)
  assert.match(strangers.out, /different clusters/)
  const nobody = `127.0.0.1:${await freePort()}`
  const down = await verify(lab, [one.address, nobody])
  assert.equal(down.code, 1)
  assert.match(down.out, /WALCAST_NODE_UNREACHABLE/)
  const twice = await verify(lab, [one.address, one.url])
  assert.match(twice.out, /named already/)
  assert.equal((await verify(lab, [one.address])).code, 2)
  assert.equal((await verify(lab, [], '--help')).code, 0)
  const origin = await fetch(`${one.url}/_walcast/scrub`, {
    method: 'POST',
    headers: { origin: 'http://x' },
  })
  assert.equal(origin.status, 403)
})

labTest('--scrub-rate 0 turns scrubbing off, and positions are still reported', async (lab) => {
  const { leader, replica } = await start(lab, [...NEVER, '--scrub-every', '50ms'])
  const [page] = await quietPages(lab, leader.db)
  await rot(lab, leader.db, [page])
  await delay(500)
  for (const node of [leader, replica]) {
    assert.equal(await node.metric('walcast_scrub_pages_total'), 0)
    const { background, passes } = await scrubOf(node)
    assert.deepEqual([background, passes], [false, 0])
    const answer: PositionsAnswer = JSON.parse((await node.get('/_walcast/positions')).text)
    const { epoch, txid, checksum } = await node.status()
    assert.deepEqual(answer.positions.at(-1), { epoch, txid, checksum })
  }
})
