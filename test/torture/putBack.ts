/**
 * The leader's state is put back, and what has to hold then is found out by content:
 *
 *   held at the replicas ─> put back ─> restarted ─> level ─> held rows at the leader or kept aside
 *
 * A replica's rows count as lost unless the copy put back is of the same history and holds all that
 * the replica had by then.
 */
import assert from 'node:assert/strict'
import { type Content, contentOf, contentOfFiles } from '../support/content.ts'
import { requireSame } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { keptRows } from './keptRows.ts'
import { type Placed, place } from './placing.ts'
import type { Moment } from './snapshots.ts'
import {
  newCheckpointer,
  startReaders,
  startWriters,
  stopCheckpointer,
  stopReaders,
  stopWriters,
  type World,
} from './world.ts'

/** What a replica had when the leader was stopped. */
interface Held {
  readonly replica: number
  readonly epoch: number
  readonly txid: number
  readonly content: Content
}

const SAMPLE = 5
const QUIET_POLLS = 4
const TAKEN = 'taken for writes while no node ran'

export async function putBackLeader(world: World): Promise<void> {
  const { lab, random, db, snapshots, ledger, told } = world
  if (!(await snapshots.pick(db))) return
  await stopReaders(world)
  for (const replica of world.replicas) await reached(world.leader, replica)
  const awayIndex = random() < 0.35 ? Math.floor(random() * world.replicas.length) : -1
  const held: Held[] = []
  if (awayIndex >= 0) held.push(await stopHolding(world, awayIndex))
  await askAll(world, awayIndex)
  await stopAllAtLeader(world)
  for (const [i, replica] of world.replicas.entries())
    if (i !== awayIndex) held.push(await holds(world, replica, i))
  for (const [i, replica] of world.replicas.entries())
    if (i !== awayIndex) await ledger.ask(replica)
  ledger.settle()

  const stopped: Moment = {
    history: world.history,
    txid: Math.max(...held.map(({ txid }) => txid)),
  }
  // Chosen first, since a snapshot of the current state would restore nothing.
  const snapshot = await snapshots.pick(db)
  assert.ok(snapshot)
  if (random() < 0.4) snapshots.takeStopped(db, stopped, snapshot)
  const placed = await place(lab, random, db, snapshot, () => snapshots.pick(db))
  const what = `put back: ${placed.told}${awayIndex >= 0 ? ', a replica away' : ''}`
  told.set(what, (told.get(what) ?? 0) + 1)
  const before = await contentOfFiles(lab, db)
  const lost = held.filter((each) => isLost(each, placed, world.history))
  world.history++

  // Without writers every row counts; with them only rows that never come again.
  const isQuiet = random() < 0.4
  const isWrittenFirst = !isQuiet && random() < 0.5
  if (isWrittenFirst) startWriters(world)
  world.leader = await lab.restart(world.leader)
  const first = (await world.leader.status()).epoch
  await ledger.ask(world.leader)
  if (!isQuiet && !isWrittenFirst) startWriters(world)
  world.checkpointer = newCheckpointer(world, db)
  await world.writers[0]?.advance(1 + Math.floor(random() * 100))
  if (awayIndex >= 0) {
    await ledger.ask(world.leader)
    world.replicas[awayIndex] = await lab.restart(world.replicas[awayIndex])
  }
  await stopWriters(world)
  for (const replica of world.replicas) await requireSame(lab, world.leader, replica)
  await askAll(world)
  await requireKept(world, what, before, lost, isQuiet ? () => true : isUnique)
  await requirePositions(world, what, first)
  if (isTakenForWrites(world.leader)) told.set(TAKEN, (told.get(TAKEN) ?? 0) + 1)
  else await requireUnknown(world, what, before, lost)
  startWriters(world)
  startReaders(world)
}

/** It has everything that the leader has now. */
async function reached(leader: TestNode, replica: TestNode): Promise<void> {
  const there = await leader.status()
  await until(`${replica.child.name} is at ${there.epoch}-${there.txid}`, async (saw) => {
    const { epoch, txid, state } = await replica.status()
    saw(`${state} ${epoch}-${txid}`)
    return state === 'streaming' && epoch === there.epoch && txid >= there.txid
  })
}

async function stopHolding({ lab, random, replicas }: World, i: number): Promise<Held> {
  const replica = replicas[i]
  const { epoch, txid } = await replica.status()
  await replica.stop(random() < 0.5 ? 'SIGTERM' : 'SIGKILL')
  // It may have gone on until its end, so its rows are of this position or a later one. Its files
  // are not copied, since a checkpoint of another program may move pages meanwhile.
  return { replica: i, epoch, txid, content: await contentOf(lab, replica.db) }
}

/** The node and the programs, in any order. */
async function stopAllAtLeader(world: World): Promise<void> {
  const { random } = world
  const signal = random() < 0.5 ? 'SIGTERM' : 'SIGKILL'
  const isNodeFirst = random() < 0.5
  if (isNodeFirst) await world.leader.stop(signal)
  await stopWriters(world)
  await stopCheckpointer(world.checkpointer)
  if (!isNodeFirst) await world.leader.stop(signal)
}

/** What it holds once everything on its way has arrived, also through a relay. */
async function holds({ lab, replicas }: World, replica: TestNode, i: number): Promise<Held> {
  const relay = replicas.find(
    ({ address, child }) => address === replica.options.leader && !child.end,
  )
  const least = relay ? (await quiet(relay)).txid : 0
  const { epoch, txid } = await quiet(replica, least)
  const content = await contentOf(lab, replica.db)
  const after = await replica.status()
  assert.equal(
    `${after.epoch}-${after.txid}`,
    `${epoch}-${txid}`,
    'a replica moved without a leader',
  )
  return { replica: i, epoch, txid, content }
}

/** Waits until it has reached `least` and stands still. */
async function quiet(
  replica: TestNode,
  least = 0,
): Promise<{ readonly epoch: number; readonly txid: number }> {
  let seen = ''
  let times = 0
  return until('a replica stands still', async (saw) => {
    const { epoch, txid } = await replica.status()
    saw(`${epoch}-${txid} of ${least}`)
    if (txid < least) return undefined
    times = `${epoch}-${txid}` === seen ? times + 1 : 0
    seen = `${epoch}-${txid}`
    return times >= QUIET_POLLS ? { epoch, txid } : undefined
  })
}

/** Whether a replica may hold rows that the restored copy lacks. */
function isLost({ txid }: Held, { database }: Placed, history: number): boolean {
  if (!database) return false
  return database.to.history !== history || txid > database.to.txid
}

async function askAll({ leader, replicas, ledger }: World, away = -1): Promise<void> {
  await ledger.ask(leader)
  for (const [i, replica] of replicas.entries()) if (i !== away) await ledger.ask(replica)
}

/** Balances and the newest id may briefly match another history; other rows are random bytes. */
function isUnique(row: string): boolean {
  return !row.startsWith('accounts:') && !row.startsWith('meta:')
}

/** Every missing row is in a bundle. */
async function requireKept(
  { lab, leader, replicas }: World,
  what: string,
  before: Content,
  lost: readonly Held[],
  counts: (row: string) => boolean,
): Promise<void> {
  const now = await contentOf(lab, leader.db)
  const kept = await keptRows(lab, replicas)
  for (const { replica, content, epoch, txid } of lost) {
    const gone = [...content.rows].filter(
      (row) => counts(row) && !before.rows.has(row) && !now.rows.has(row),
    )
    const missing = gone.filter((row) => !kept.has(row))
    const sample = missing.slice(0, SAMPLE).join(' ')
    const where = `replica ${replica} at ${epoch}-${txid}, ${what}`
    assert.equal(
      missing.length,
      0,
      `${missing.length} of ${gone.length} rows are kept nowhere, ${where}: ${sample}`,
    )
  }
}

/** Each position has one meaning: none is given out twice. */
async function requirePositions(
  { leader, ledger }: World,
  what: string,
  first: number,
): Promise<void> {
  const { epoch, txid } = await leader.status()
  ledger.settle(first, epoch)
  assert.ok(
    txid >= ledger.highestTxid,
    `the leader is at ${txid}, ${ledger.highestTxid} was seen; ${what}`,
  )
}

/**
 * A database alone that is put back to a state of which the folder has no record looks like one
 * that was written while no node ran, unless SQLite's counters went back. The positions before it
 * then count as reached, so nothing can be asked about them.
 */
function isTakenForWrites(leader: TestNode): boolean {
  return leader.logged('the database was written while no leader ran').length > 0
}

/** What was lost is nothing to wait for. */
async function requireUnknown(
  { leader, replicas }: World,
  what: string,
  before: Content,
  lost: readonly Held[],
): Promise<void> {
  for (const held of lost) {
    if (isSame(held.content, before)) continue
    const position = `${held.epoch}-${held.txid}`
    for (const node of [leader, ...replicas]) {
      const { status, text } = await node.get(`/_walcast/wait?position=${position}&timeoutMs=2000`)
      assert.equal(status, 409, `${node.child.name} waits for ${position}, ${what}: ${text}`)
    }
  }
}

function isSame(a: Content, b: Content): boolean {
  return a.rows.size === b.rows.size && [...a.rows].every((row) => b.rows.has(row))
}
