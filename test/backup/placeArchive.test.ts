/** One place: what it is told to have is what it has, whatever is done to it meanwhile. */
import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import pino from 'pino'
import { parseArchiveName } from '../../proto/archiveNames.ts'
import { BatchLog } from '../../src/backup/batchLog.ts'
import { messageSum, type Stand } from '../../src/backup/batchRecord.ts'
import { PlaceArchive } from '../../src/backup/placeArchive.ts'
import { behindOf } from '../../src/backup/placeStatus.ts'
import { placesNow } from '../../src/backup/placesNow.ts'
import { brokenIds, noteBroken } from '../../src/backup/retention/brokenNotes.ts'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import type { Store } from '../../src/backup/stores/store.ts'
import { WalcastError } from '../../src/errors.ts'
import { encodeBatch } from '../../src/feed/batch.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { pagesOf, type State, statesOf } from '../support/archives.ts'
import { A, B } from '../support/batchLogs.ts'
import { branchOf } from '../support/longArchives.ts'
import { restoreFrom } from '../support/restoring.ts'
import { until } from '../support/until.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-place-'))
after(() => rmSync(root, { recursive: true, force: true }))

const PAGE = 512
const ownStates = statesOf(join(root, 'source.db'), PAGE)
const states = ownStates
const silent = pino({ level: 'silent' })
const SNAPSHOT = 100
/** No round comes by itself within a test. */
const RARELY_MS = 3_600_000
let made = 0

interface Committed extends State {
  readonly incarnation?: string
  readonly epoch?: number
}

const standOf = ({ txid, checksum, incarnation = A, epoch = 1 }: Committed): Stand => ({
  ...{ incarnation, epoch, txid, checksum },
})

/** A place of a database that has committed the first of `states`. */
function newPlace(
  folder = join(root, `place-${++made}`),
  checkEveryMs = 60_000,
  states: readonly Committed[] = ownStates,
  { logFolder = join(root, `log-${++made}`), everyMs = 5 } = {},
) {
  const log = BatchLog.open(
    logFolder,
    { maxBytes: 1 << 26, maxPendingBytes: 1 << 26 },
    systemFileOps,
    { onDropped() {}, onFailed() {} },
  )
  const now = {
    at: 0,
    isOpen: false,
    isOn: true,
    givesBack: 0,
    cluster: 'cluster-a',
    snapshots: 0,
    files: 0,
    standInMs: 60_000,
    isBroken: false,
    checkEveryMs,
  }
  const failures: string[] = []
  let hold: Promise<void> | undefined
  let ownHold: Promise<void> | undefined
  let failing = 0
  const held: Store[] = []
  const open = async (): Promise<Store> => {
    const store = new DirectoryStore(folder, systemFileOps)
    held.push(store)
    return {
      name: store.name,
      list: (prefix) => store.list(prefix),
      open: (name) => store.open(name),
      remove: (name) => store.remove(name),
      async create(name, write) {
        now.files++
        await hold
        if (name.startsWith('snapshots/')) await ownHold
        if (name.startsWith('snapshots/') && failing-- > 0)
          throw new WalcastError('DISK_FULL', { path: folder })
        return store.create(name, write)
      },
    }
  }
  const place = new PlaceArchive({
    place: folder,
    open,
    log,
    logger: silent,
    everyMs,
    mark: () => ({
      ...{ cluster: now.cluster, db: 'main', node: 'n', writer: 'test', createdMs: 0 },
      ...{ codec: 'deflate', recipients: undefined },
    }),
    isOn: () => now.isOn,
    giveBack: () => now.givesBack-- > 0,
    mayStandInMs: () => now.standInMs,
    checkEveryMs: now.checkEveryMs,
    end: () => (now.isBroken ? undefined : standOf(states[now.at])),
    isOpen: () => now.isOpen,
    async withSnapshot(use) {
      const { bytes } = states[now.at]
      now.snapshots++
      const path = join(root, `snapshot-${++made}`)
      writeFileSync(path, bytes)
      const pages = bytes.length / PAGE
      await use({ at: standOf(states[now.at]), timeMs: SNAPSHOT, pages, pageSize: PAGE, path })
    },
    onArchived() {},
    onFailed: ({ key }) => failures.push(key),
  })
  const commit = (times = 1) => {
    for (let i = 0; i < times; i++) {
      const [from, to] = [states[now.at], states[now.at + 1]]
      const message = messageOf(from, to)
      const about = { isFirst: true, isLast: true, timeMs: 1000 + to.txid }
      const measure = { bytes: message.length, sum: messageSum(message) }
      log.append({ from: standOf(from), to: standOf(to), ...about, ...measure }, message)
      now.at++
      place.onAppended(about.timeMs)
    }
  }
  const level = () =>
    until('the place is level', (saw) => {
      saw(JSON.stringify(place.status))
      return place.status.isLevel === true
    })
  const holdUntil = (free: Promise<void>) => {
    hold = free
  }
  /** Gives what lets them go on. */
  const holdSnapshots = () => {
    let free = () => {}
    ownHold = new Promise((resolve) => {
      free = resolve
    })
    return free
  }
  const failSnapshots = (times: number) => {
    failing = times
  }
  const site = { folder, place, now, commit, level, failures, holdUntil, log, logFolder }
  return { ...site, holdSnapshots, failSnapshots }
}

function messageOf(from: State, to: State): Buffer {
  const old = pagesOf(from.bytes, PAGE)
  const images = pagesOf(to.bytes, PAGE).filter(
    ({ bytes }, i) => !old[i] || Buffer.compare(old[i].bytes, bytes) !== 0,
  )
  return encodeBatch(
    {
      ...{ db: 'main', epoch: 1, fromTxid: from.txid, txid: to.txid, chunk: 0, last: true },
      ...{ pageSize: PAGE, dbPages: to.bytes.length / PAGE, checksum: to.checksum },
      ...{ noticeMs: 1, noticedMs: 1, sentMs: 1 },
    },
    {
      pageNumbers: images.map(({ number }) => number),
      page: (i: number) => images[i].bytes,
    } as never,
    images.map((_, i) => i),
  )
}

async function requireRestorable(folder: string, state: Committed): Promise<void> {
  const { txid, checksum, incarnation = A } = state
  const restored = await restoreFrom(folder, { incarnation, txid }, join(root, `r-${++made}`))
  assert.equal(restored.checksum, checksum)
}

const newest = (folder: string) => {
  const names = readdirSync(join(folder, 'changes/0')).filter((name) => name.endsWith('.wca'))
  return join(folder, 'changes/0', names.sort()[names.length - 1])
}

for (const [what, spoil] of [
  ['truncated', (bytes: Buffer) => bytes.subarray(0, bytes.length - 9)],
  ['emptied', (bytes: Buffer) => bytes.subarray(0, 0)],
  [
    'changed',
    (bytes: Buffer) => Buffer.from(bytes).fill(255, bytes.length - 40, bytes.length - 20),
  ],
] as const)
  test(`a place whose newest file was ${what} goes on, loudly`, async () => {
    const first = newPlace()
    first.place.start()
    await first.level()
    first.commit()
    await first.level()
    await first.place.stop()
    const file = newest(first.folder)
    writeFileSync(file, spoil(readFileSync(file)))
    const again = newPlace(first.folder)
    again.commit()
    again.place.start()
    await again.level()
    assert.deepEqual(again.failures, ['ARCHIVE_BROKEN'])
    await requireRestorable(first.folder, states[1])
    again.commit()
    await again.level()
    await again.place.stop()
    await requireRestorable(first.folder, states[2])
    assert.equal(again.now.snapshots, 0)
  })

test('a place that is removed, or put back older, is begun again or gone on with', async () => {
  const { folder, place, commit, level, now } = newPlace()
  place.start()
  await level()
  commit()
  await level()
  cpSync(folder, `${folder}-older`, { recursive: true })
  commit()
  await level()
  rmSync(folder, { recursive: true })
  commit()
  await level()
  await requireRestorable(folder, states[3])
  assert.equal(now.snapshots, 2)
  rmSync(folder, { recursive: true })
  cpSync(`${folder}-older`, folder, { recursive: true })
  commit()
  await level()
  await place.stop()
  await requireRestorable(folder, states[4])
  await requireRestorable(folder, states[2])
  assert.equal(now.snapshots, 2)
})

test('a place that becomes that of another cluster is not written to', async () => {
  const other = newPlace()
  other.now.cluster = 'cluster-b'
  // Incarnations are random: no file of another cluster has the name of one of these.
  other.now.at = 1
  other.place.start()
  await other.level()
  await other.place.stop()
  const { folder, place, commit, level, failures } = newPlace()
  place.start()
  await level()
  rmSync(folder, { recursive: true })
  cpSync(other.folder, folder, { recursive: true })
  rmSync(join(folder, 'changes'), { recursive: true, force: true })
  commit()
  await until('it is refused', () => failures.includes('ARCHIVE_FOREIGN'))
  assert.equal(existsSync(join(folder, 'changes')), false)
  assert.equal(place.status.at, undefined)
  await place.stop()
})

test('a snapshot without its file is no way to what follows it', async () => {
  const first = newPlace()
  first.place.start()
  await first.level()
  first.commit()
  await first.level()
  await first.place.stop()
  rmSync(join(first.folder, 'snapshots'), { recursive: true })
  const again = newPlace(first.folder)
  again.commit()
  again.place.start()
  await again.level()
  await again.place.stop()
  assert.equal(again.now.snapshots, 1)
  await requireRestorable(first.folder, states[1])
})

test('a whole file of this name in another state is not told to be this one', async () => {
  const first = newPlace()
  first.place.start()
  await first.level()
  await first.place.stop()
  const again = newPlace(first.folder)
  const [{ txid }] = states
  states.unshift({ ...states[1], txid })
  again.place.start()
  await until('it is refused', () => again.failures.includes('ARCHIVE_MISMATCH'))
  states.shift()
  await again.place.stop()
})

test('it is never level while something is missing, and a clock changes nothing', async () => {
  const { place, commit, level, now, holdUntil, failures } = newPlace()
  const behindMs = (leaderMs: number) => behindOf(place.status, leaderMs)
  assert.equal(behindMs(0), undefined)
  place.start()
  await level()
  assert.equal(behindMs(0), 0)
  now.isOpen = true
  assert.equal(behindMs(0), undefined)
  place.onAppended(5000)
  assert.ok((behindMs(0) ?? 0) >= 1)
  assert.equal(behindMs(9000), 4000)
  now.isOpen = false
  await level()
  let fail: (error: Error) => void = () => {}
  const held = new Promise<void>((_, reject) => {
    fail = reject
  })
  held.catch(() => {})
  holdUntil(held)
  commit()
  assert.ok((behindMs(0) ?? 0) >= 1)
  fail(new Error('gone'))
  await until('it failed', () => failures.length > 0)
  assert.ok((behindMs(0) ?? 0) >= 1)
  holdUntil(Promise.resolve())
  await level()
  await place.stop()
  assert.equal(behindMs(0), 0)
})

test('what comes while a file is written waits for the next, unless it is asked for', async () => {
  const hourMs = 3_600_000
  const site = newPlace(undefined, hourMs, states, { everyMs: hourMs })
  const { folder, place, now, commit, level, holdUntil } = site
  const files = () => readdirSync(join(folder, 'changes/0')).length
  place.start()
  await level()
  for (const first of [1, 2, 3]) {
    let free = () => {}
    holdUntil(
      new Promise((resolve) => {
        free = resolve
      }),
    )
    const { rounds } = place.progress
    const begun = now.files
    commit()
    place.hurry()
    await until('the file is under way', () => now.files > begun)
    commit()
    free()
    await until('the round is over', () => place.progress.rounds > rounds)
    assert.equal(files(), 2 * first - 1)
    assert.equal(place.status.isLevel, false)
    assert.ok((behindOf(place.status, 0) ?? 0) >= 1)
    place.hurry()
    await level()
    assert.equal(files(), 2 * first)
    assert.equal(behindOf(place.status, 0), 0)
  }
  await place.stop()
  await requireRestorable(folder, states[6])
})

test('a snapshot that is asked for lies where files of changes meet', async () => {
  const { folder, place, now, commit, level, holdUntil } = newPlace()
  place.start()
  await level()
  const [first] = readdirSync(join(folder, 'snapshots'))
  commit(2)
  let free = () => {}
  holdUntil(
    new Promise((resolve) => {
      free = resolve
    }),
  )
  place.wantSnapshot()
  await until('it is taken', () => now.snapshots === 2)
  // While it is written, more is committed: the log has it before the next file is made.
  commit(2)
  free()
  await until('it is there', () => place.progress.snapshots === 2)
  await level()
  await place.stop()
  rmSync(join(folder, 'snapshots', first))
  await requireRestorable(folder, states[4])
})

test('changes go on while a snapshot that is asked for is written', async () => {
  const { folder, place, now, commit, level, holdSnapshots } = newPlace()
  place.start()
  await level()
  const [first] = readdirSync(join(folder, 'snapshots'))
  commit(1)
  await level()
  const free = holdSnapshots()
  place.wantSnapshot()
  await until('it is taken', () => now.snapshots === 2)
  commit(2)
  await level()
  // A second wish waits for the first one, which it is.
  place.wantSnapshot()
  assert.deepEqual([place.progress.snapshots, place.status.isTakingSnapshot], [1, true])
  const total = states[now.at - 2].bytes.length
  assert.deepEqual(place.status.writing, { done: 0, total })
  free()
  await until('it is there', () => place.progress.snapshots === 2)
  assert.equal(place.status.writing, undefined)
  commit(1)
  await level()
  await place.stop()
  assert.equal(now.snapshots, 2)
  rmSync(join(folder, 'snapshots', first))
  await requireRestorable(folder, states[4])
})

test('a last file that is gone is no loss while others lead to its end', async () => {
  const { folder, place, commit, level, failures } = newPlace()
  place.start()
  await level()
  commit(2)
  await level()
  place.wantSnapshot()
  await until('it is there', () => place.progress.snapshots === 2)
  await level()
  rmSync(join(folder, 'changes'), { recursive: true })
  const { rounds } = place.progress
  place.hurry()
  await until('it has looked', () => place.progress.rounds > rounds)
  commit(1)
  await level()
  await place.stop()
  assert.deepEqual(failures, [])
  await requireRestorable(folder, states[3])
})

test('a snapshot that cannot be written is told, and tried again', async () => {
  const { folder, place, commit, level, failures, failSnapshots } = newPlace()
  place.start()
  await level()
  commit(1)
  await level()
  failSnapshots(1)
  place.wantSnapshot()
  await until('the failure is told', () => failures.length === 1)
  assert.deepEqual(failures, ['DISK_FULL'])
  await until('it is there', () => place.progress.snapshots === 2)
  await level()
  await place.stop()
  assert.equal(readdirSync(join(folder, 'snapshots')).length, 2)
})

/** `backup now --snapshot`, at the state where the place's database is. */
function snapshotNow({ place, now }: ReturnType<typeof newPlace>, gone = new AbortController()) {
  const position = standOf(states[now.at])
  const order = { position, isSnapshotWanted: true, timeoutMs: 60_000, gone: gone.signal }
  return placesNow([place], order)
}

test('a snapshot that was under way is none for who asks for one of a later state', async () => {
  const site = newPlace(undefined, undefined, undefined, { everyMs: RARELY_MS })
  const { folder, place, now, commit, level, holdSnapshots } = site
  place.start()
  await level()
  commit()
  place.hurry()
  await level()
  const free = holdSnapshots()
  place.wantSnapshot()
  await until('it is taken', () => now.snapshots === 2)
  commit(2)
  place.hurry()
  await level()
  const asked = [snapshotNow(site), snapshotNow(site)]
  free()
  for (const [{ snapshot = '' }] of await Promise.all(asked)) {
    const name = parseArchiveName(snapshot)
    assert.equal(name?.kind === 'snapshot' && name.txid, states[3].txid)
  }
  assert.equal(now.snapshots, 3, 'both are answered with the same one')
  const [{ snapshot }] = await snapshotNow(site)
  assert.match(snapshot ?? '', /^snapshots\//)
  await place.stop()
  await requireRestorable(folder, states[3])
})

test('a snapshot that failed is tried again, however rarely the place is looked at', async () => {
  const site = newPlace(undefined, undefined, undefined, { everyMs: RARELY_MS })
  const { place, level, failSnapshots, commit } = site
  place.start()
  await level()
  commit()
  failSnapshots(1)
  await assert.rejects(snapshotNow(site), { key: 'BACKUP_BEHIND' })
  place.hurry()
  await until('it is there', () => place.progress.snapshots === 2)
  await place.stop()
})

test('a wait for a place ends when who asked went away', async () => {
  const site = newPlace()
  const { place, level, commit, holdUntil } = site
  place.start()
  await level()
  let free = () => {}
  holdUntil(
    new Promise((resolve) => {
      free = resolve
    }),
  )
  commit()
  const gone = new AbortController()
  const asked = assert.rejects(snapshotNow(site, gone), { key: 'CALLER_GONE' })
  gone.abort()
  await asked
  free()
  await level()
  await place.stop()
})

test('a crash between the beginning of a snapshot and its end skips nothing', async () => {
  const first = newPlace()
  const { folder, logFolder } = first
  first.place.start()
  await first.level()
  await first.place.stop()
  first.commit(2)
  await first.log.close()
  // Its disk is not there for a moment: the place is empty, and begun anew.
  renameSync(folder, `${folder}-away`)
  const second = newPlace(folder, undefined, undefined, { logFolder })
  second.now.at = 2
  second.commit()
  second.holdSnapshots()
  second.place.start()
  await until('the snapshot is begun', () => second.now.snapshots === 1)
  await second.log.settled()
  // As the archiver does, which keeps what a place may need.
  const { cursor } = second.place
  if (cursor) second.log.trim(cursor)
  second.place.giveUp()
  // The process is killed here; the disk is there again.
  rmSync(folder, { recursive: true, force: true })
  renameSync(`${folder}-away`, folder)
  const third = newPlace(folder, undefined, undefined, { logFolder })
  third.now.at = 3
  third.place.start()
  await third.level()
  await third.place.stop()
  assert.equal(third.now.snapshots, 0)
  for (const at of [0, 1, 2, 3]) await requireRestorable(folder, states[at])
})

test('a log gives its room to the first snapshot where the disk is full', async () => {
  const { place, level, failures, failSnapshots } = newPlace()
  failSnapshots(Number.MAX_SAFE_INTEGER)
  place.start()
  await until('it failed', () => failures.includes('DISK_FULL'))
  assert.ok(place.cursor, 'nothing before it is kept')
  failSnapshots(0)
  await level()
  await place.stop()
})

test('a batch that was changed in the log is passed by with a snapshot', async () => {
  const { folder, place, commit, level, now, log, logFolder } = newPlace()
  place.start()
  await level()
  now.isOn = false
  await until('it watches', () => !place.status.isArchiving)
  commit(2)
  await log.settled()
  const file = join(logFolder, readdirSync(logFolder)[0])
  const bytes = readFileSync(file)
  bytes[bytes.length - 1] ^= 1
  writeFileSync(file, bytes)
  now.isOn = true
  await level()
  commit()
  await level()
  await place.stop()
  assert.equal(now.snapshots, 2)
  await requireRestorable(folder, states[2])
  await requireRestorable(folder, states[3])
})

test('files without the snapshot before them are not told to be restorable for long', async () => {
  const { folder, place, commit, level, now, failures } = newPlace(undefined, 10)
  place.start()
  await level()
  commit()
  await level()
  rmSync(join(folder, 'snapshots'), { recursive: true })
  commit()
  await until('the place is begun again', () => now.snapshots === 2)
  await level()
  await place.stop()
  assert.ok(failures.includes('ARCHIVE_MISSING'))
  await requireRestorable(folder, states[2])
})

test('what a log has that leads nowhere now is archived, and its room is free then', async () => {
  const { folder, place, commit, level, now, log } = newPlace()
  place.start()
  await level()
  now.isOn = false
  await until('it watches', () => !place.status.isArchiving)
  commit(2)
  await log.settled()
  now.isBroken = true
  now.isOn = true
  await until('it has all that the log has', () => place.status.at?.txid === states[2].txid)
  await until('it needs no more', () => place.cursor?.offset === log.tail.offset)
  await requireRestorable(folder, states[2])
  assert.equal(now.snapshots, 1)
  await place.stop()
})

test('what a place has is told while nothing leads on from it', async () => {
  const { folder, place, commit, level, now, holdUntil } = newPlace()
  place.start()
  await level()
  commit()
  await level()
  holdUntil(new Promise(() => {}))
  now.at += 2
  await until('a snapshot is tried', () => now.snapshots === 2)
  assert.equal(place.status.at?.txid, states[1].txid)
  assert.equal(place.status.isLevel, false)
  await requireRestorable(folder, states[1])
})

test('a node writes a place that another one should write and does not', async () => {
  const { folder, place, commit, now, level } = newPlace()
  now.isOn = false
  now.standInMs = 5
  place.start()
  commit()
  await level()
  await place.stop()
  await requireRestorable(folder, states[1])
})
test('a new leader goes on inside a file without a snapshot; both branches restore', async () => {
  const old = newPlace()
  old.place.start()
  await old.level()
  await old.place.stop()
  const all = newPlace(old.folder)
  all.commit(6)
  all.place.start()
  await all.level()
  await all.place.stop()
  const [fork, abandoned] = [2, states.slice(0, 7)]
  const about = () => ({ incarnation: B, epoch: 2, timeMs: 0 })
  const before = { ...states[fork], ...about(), incarnation: A, epoch: 1 }
  const steps = ['INSERT INTO a (b) VALUES (7)', 'DELETE FROM a WHERE id % 2 = 0', 'VACUUM']
  const branch = branchOf(join(root, 'branch.db'), before, PAGE, steps, about)
  const next = newPlace(old.folder, 60_000, [...states.slice(0, fork + 1), ...branch])
  next.now.at = fork
  next.commit(2)
  next.place.start()
  await next.level()
  next.commit()
  await next.level()
  await next.place.stop()
  assert.equal(next.now.snapshots, 0)
  for (const state of [...abandoned, ...branch]) await requireRestorable(old.folder, state)
  // It goes on there again, and not before, once it has files of its own.
  const again = newPlace(old.folder, 60_000, [...states.slice(0, fork + 1), ...branch])
  again.now.at = fork + branch.length
  again.place.start()
  await again.level()
  await again.place.stop()
  assert.equal(again.now.snapshots, 0)
})

test('a file that is found broken is followed by one snapshot at once', async () => {
  const { folder, place, commit, level, now } = newPlace()
  place.start()
  await level()
  commit(2)
  await level()
  const file = newest(folder)
  flip(file)
  const found = { key: 'ARCHIVE_BROKEN', message: `the archive file ${file} is not sound: block 0` }
  const before = now.snapshots
  place.onUnsound({ ...found, key: 'STORE_FAILED' })
  place.onUnsound(found)
  await until('a snapshot was taken', () => place.status.renewed !== undefined)
  place.onUnsound(found)
  commit()
  await level()
  place.onUnsound({ ...found, message: `${found.message} again` })
  commit()
  await level()
  await place.stop()
  assert.deepEqual([now.snapshots - before, place.status.renewed?.found], [1, found])
  for (const at of [2, 3, 4]) await requireRestorable(folder, states[at])
})

test('changes behind a snapshot are not left out when a node begins again', async () => {
  const old = newPlace()
  old.place.start()
  await old.level()
  await old.place.stop()
  // What a snapshot leaves that was taken ahead of the changes.
  const ahead = newPlace(join(root, `place-${++made}`))
  ahead.now.at = 3
  ahead.place.start()
  await ahead.level()
  await ahead.place.stop()
  cpSync(join(ahead.folder, 'snapshots'), join(old.folder, 'snapshots'), { recursive: true })
  const again = newPlace(old.folder)
  again.commit(4)
  again.place.start()
  await again.level()
  await again.place.stop()
  assert.equal(again.now.snapshots, 0)
  for (const at of [1, 2, 3, 4]) await requireRestorable(old.folder, states[at])
})

test('a batch that was torn off in the log is followed by a snapshot', async () => {
  for (const goesOn of [false, true]) {
    const { folder, place, commit, level, now, log } = newPlace()
    place.start()
    await level()
    const message = messageOf(states[0], states[1])
    const measure = { bytes: message.length, sum: messageSum(message) }
    const ends = { from: standOf(states[0]), to: standOf(states[1]) }
    log.append({ ...ends, isFirst: true, isLast: false, timeMs: 1, ...measure }, message)
    now.at++
    if (goesOn) commit()
    await level()
    commit()
    await level()
    await place.stop()
    assert.equal(now.snapshots, 2)
    await requireRestorable(folder, states[now.at])
  }
})

test('a place that was left to other nodes is begun anew once it is not any more', async () => {
  const { folder, place, level, now } = newPlace()
  now.givesBack = 2
  place.start()
  await level()
  assert.deepEqual([now.snapshots, now.givesBack], [1, 2], 'an empty place is begun at once')
  // Of what was committed the log has nothing.
  now.at++
  await until('it was left and begun', () => now.snapshots === 2)
  assert.equal(now.givesBack, -1)
  await level()
  await place.stop()
  await requireRestorable(folder, states[now.at])
})

test('a snapshot that is found broken where the place stands is written again', async () => {
  const { folder, place, level, now } = newPlace()
  place.start()
  await level()
  const [name] = readdirSync(join(folder, 'snapshots'))
  flip(join(folder, 'snapshots', name))
  await assert.rejects(requireRestorable(folder, states[0]))
  const store = new DirectoryStore(folder, systemFileOps)
  const about = { code: 'ARCHIVE_BROKEN', foundMs: 1, by: 'n' }
  await noteBroken(store, { file: `snapshots/${name}`, ...about })
  place.onUnsound({ key: 'ARCHIVE_BROKEN', message: `${folder}/snapshots/${name} is not sound` })
  await until('a snapshot was taken', () => place.status.renewed !== undefined)
  await place.stop()
  assert.equal(now.snapshots, 2)
  assert.equal((await brokenIds(store)).size, 0)
  await requireRestorable(folder, states[0])
})

/** A bit of the pages: the end of the file stays sound. */
function flip(file: string): void {
  const bytes = readFileSync(file)
  const at = bytes.readUInt32LE(12) + 40
  bytes[at] ^= 1
  writeFileSync(file, bytes)
}
