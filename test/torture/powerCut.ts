/**
 * Cuts the power of a replica at the moment an answer says that it holds a write as durable, and
 * looks whether the write is there afterwards.
 *
 * The replica's folder is an ext4 file system on a loop device, whose journal commits only when it
 * is told to: what was not synced is in the kernel's memory and not in the device's file. A copy of
 * that file is what a disk has after a loss of power, but for writes that a real disk would still
 * hold in its own cache: a sync that was left out is found, a missing flush of the disk is not.
 * Another SQLite judges the mounted copy. That the judge can tell is shown by writes acknowledged
 * as `one` only, most of which have to be gone.
 *
 * Needs root and a mount namespace of its own (`unshare --mount`), so that nothing stays mounted.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { Lab, waitLevel } from '../support/lab.ts'
import { post, type Site, startSite } from '../support/notesCluster.ts'

const IMAGE_MIB = 64
/** Seconds between two commits of the journal: longer than any run. */
const COMMIT_S = 3600
/** Small, so that checkpoints take part. */
const REPLICA_FLAGS = ['--replica-wal', '64KiB', '--idle', '50ms', '--reconnect-max', '100ms']
const BYTES = 2000

const roundsWanted = Number(process.argv[2] ?? 20)
const lab = new Lab()
let cuts = 0

function run(file: string, ...args: readonly string[]): void {
  execFileSync(file, [...args], { stdio: ['ignore', 'ignore', 'inherit'] })
}

function mountImage(image: string): string {
  const folder = `${image}.d`
  mkdirSync(folder, { recursive: true })
  run('mount', '-o', `loop,commit=${COMMIT_S}`, image, folder)
  lab.atEnd(() => run('umount', '--lazy', folder))
  return folder
}

/** Whether the note is on the disk as it is now. The replica is frozen meanwhile. */
async function isAfterCut({ node }: Site, image: string, body: string): Promise<boolean> {
  const cut = lab.path(`cut${++cuts}.img`)
  node.kill('SIGSTOP')
  try {
    run('cp', '--sparse=always', image, cut)
  } finally {
    node.kill('SIGCONT')
  }
  const folder = `${cut}.d`
  mkdirSync(folder)
  run('mount', '-o', 'loop', cut, folder)
  try {
    const [file] = readdirSync(folder).filter((name) => name.endsWith('.db'))
    if (file === undefined) return false
    const session = lab.sql(`${folder}/${file}`)
    const [[verdict]] = await session.rows('PRAGMA integrity_check')
    assert.equal(verdict, 'ok', `round ${cuts}`)
    const [[count]] = await session.rows(`SELECT count(*) FROM notes WHERE body LIKE '${body} %'`)
    await session.close()
    return Number(count) === 1
  } finally {
    run('umount', folder)
    rmSync(cut)
  }
}

async function main(): Promise<void> {
  const image = lab.path('replica.img')
  run('truncate', '--size', `${IMAGE_MIB}M`, image)
  run('mkfs.ext4', '-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image)
  const folder = mountImage(image)
  const db = lab.path('leader.db')
  await lab.exec(
    db,
    'PRAGMA journal_mode=wal',
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)',
  )
  const leader = await startSite(lab, db, undefined, [
    '--heartbeat',
    '100ms',
    '--ack-timeout',
    '10s',
  ])
  const replica = await startSite(lab, `${folder}/replica.db`, leader.node.address, REPLICA_FLAGS)
  await replica.node.ready()
  await waitLevel(leader.node, replica.node)
  const kept = { 'one-durable': 0, one: 0 }
  for (let round = 0; round < roundsWanted; round++)
    for (const level of ['one-durable', 'one'] as const) {
      const body = `${level}-${round}`
      const beside = Array.from({ length: round % 4 }, (_, i) =>
        post(`${leader.url}/notes`, `beside ${body} ${i} ${'x'.repeat(BYTES)}`, {
          'walcast-ack': 'one',
        }),
      )
      const answer = await post(`${leader.url}/notes`, `${body} ${'x'.repeat(BYTES)}`, {
        'walcast-ack': level,
      })
      assert.equal(answer.headers.get('walcast-acked'), `${level}; replicas=1`)
      const isThere = await isAfterCut(replica, image, body)
      if (isThere) kept[level]++
      assert.ok(isThere || level === 'one', `${body} was acknowledged as durable and is gone`)
      await Promise.all(beside)
    }
  process.stdout.write(
    `of ${roundsWanted} writes each, ${kept['one-durable']} acknowledged as durable and ` +
      `${kept.one} acknowledged as held were there after the cut\n`,
  )
  if (kept.one > roundsWanted / 2)
    throw new Error('too many of the others, too: this proves nothing here')
}

try {
  await main()
} finally {
  await lab.close()
}
