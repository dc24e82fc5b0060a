/** The pass that lets the next writer start the WAL over, beside connections of other processes. */
import assert from 'node:assert/strict'
import { closeSync } from 'node:fs'
import { test } from 'node:test'
import { CapturedFrame } from '../../src/sqlite/capturedFrame.ts'
import { adoptDatabase, type DatabaseFiles } from '../../src/sqlite/databaseFiles.ts'
import { isReadByOthers, locksOf } from '../../src/sqlite/lockTable.ts'
import { ReadGuard } from '../../src/sqlite/readGuard.ts'
import { type ResetPass, type ResetPassRequest, runResetPass } from '../../src/sqlite/resetPass.ts'
import { open, SqliteThread } from '../../src/sqlite/sqliteThread.ts'
import { WalIndexReader } from '../../src/sqlite/walIndexReader.ts'
import { type Lab, labTest } from '../support/lab.ts'
import type { SqlSession } from '../support/sqlSession.ts'

const CONNECTIONS = { checkpoint: 'checkpoint', fence: 'fence' }
const SOFT = { rounds: 4, fence: 'never', fenceMs: 100, stopMs: 10, maxMissing: 1000 } as const

interface World {
  readonly files: DatabaseFiles
  readonly guard: ReadGuard
  readonly walIndex: WalIndexReader
  /** Of the application. */
  readonly writer: SqlSession
  readonly reader: SqlSession
  asked: number
  captures: boolean
  pass(request?: Omit<ResetPassRequest, 'current'>): Promise<ResetPass>
  salt(): number
  write(): Promise<void>
}

async function setUp(lab: Lab): Promise<World> {
  const path = lab.path('a.db')
  await lab.exec(path, 'PRAGMA journal_mode = WAL', 'CREATE TABLE t(id INTEGER PRIMARY KEY, v)')
  const writer = lab.sql(path)
  const reader = lab.sql(path)
  await writer.rows('PRAGMA wal_autocheckpoint = 0')
  await writer.rows('INSERT INTO t(v) VALUES (1)')
  const thread = new SqliteThread()
  const files = await adoptDatabase(thread, path, () => {})
  const guard = await ReadGuard.begin(thread, path, files.shm)
  await thread.run(...Object.values(CONNECTIONS).map((name) => open(name, path)))
  lab.atEnd(async () => {
    await thread.stop([...ReadGuard.connections, ...Object.values(CONNECTIONS), 'keeper'])
    closeSync(files.walFd)
  })
  const walIndex = new WalIndexReader(files.shm.fd)
  const capture = () => {
    const header = walIndex.read()
    if (header) guard.captured.set(header.salt1, header.mxFrame)
  }
  const world: World = {
    files,
    guard,
    walIndex,
    writer,
    reader,
    asked: 0,
    captures: true,
    pass: (request = SOFT) =>
      guard.resetPass(CONNECTIONS, request, () => {
        world.asked++
        if (world.captures) capture()
      }),
    salt: () => walIndex.read()?.salt1 ?? -1,
    async write() {
      await writer.rows('INSERT INTO t(v) VALUES (1)')
    },
  }
  return world
}

labTest('after a pass in a pause of the writers the next one starts the WAL over', async (lab) => {
  const world = await setUp(lab)
  const before = world.salt()
  const pass = await world.pass()
  assert.equal(pass.isComplete, true)
  assert.equal(pass.fencedMs, 0)
  assert.ok(world.asked > 0, 'capture was asked to follow')
  assert.equal(world.guard.slot, 0)
  await world.write()
  assert.notEqual(world.salt(), before)
})

labTest('the guard does not let go of frames that are not captured', async (lab) => {
  const world = await setUp(lab)
  const before = world.salt()
  world.captures = false
  for (const fence of ['never', 'always'] as const) {
    const pass = await world.pass({ rounds: 2, fence, fenceMs: 100, stopMs: 10, maxMissing: 1000 })
    assert.equal(pass.isComplete, false)
    assert.equal(world.guard.mayReset, false)
    await world.write()
    assert.equal(world.salt(), before, `the WAL was started over (fence ${fence})`)
  }
  world.captures = true
  assert.equal((await world.pass()).isComplete, true)
  await world.write()
  assert.notEqual(world.salt(), before)
})

labTest('capture of another generation is no capture of this one', async (lab) => {
  const world = await setUp(lab)
  world.captures = false
  world.guard.captured.set(world.salt() + 1, 0xffff_ffff)
  assert.equal((await world.pass()).isComplete, false)
  world.guard.captured.set(world.salt(), 0xffff_ffff)
  assert.equal((await world.pass()).isComplete, true)
})

labTest('a reader that lingers is told of, and nothing is lost to it', async (lab) => {
  const world = await setUp(lab)
  await world.reader.rows('BEGIN')
  await world.reader.rows('SELECT count(*) FROM t')
  await world.write()
  const pass = await world.pass()
  assert.equal(pass.isBlocked, true)
  assert.equal(pass.isComplete, false)
  assert.deepEqual(await world.reader.rows('SELECT count(*) FROM t'), [[1]])
  await world.reader.rows('COMMIT')
  assert.equal((await world.pass()).isComplete, true)
})

labTest(
  'a fence is let go of at once when another process reads, unless it must be',
  async (lab) => {
    const world = await setUp(lab)
    assert.equal(isReadByOthers(locksOf(world.files.shm), process.pid), false)
    await world.reader.rows('BEGIN')
    await world.reader.rows('SELECT count(*) FROM t')
    assert.equal(isReadByOthers(locksOf(world.files.shm), process.pid), true)
    // No round before it: the fence decides alone.
    const polite = await world.pass({
      rounds: 0,
      fence: 'unless-read',
      fenceMs: 100,
      stopMs: 10,
      maxMissing: 1000,
    })
    assert.equal(polite.yielded, true)
    assert.equal(polite.isComplete, false)
    const forced = await world.pass({
      rounds: 0,
      fence: 'always',
      fenceMs: 100,
      stopMs: 10,
      maxMissing: 1000,
    })
    assert.equal(forced.yielded, false)
    assert.equal(forced.isComplete, true, 'the reader reads the newest state')
    await world.reader.rows('INSERT INTO t(v) VALUES (2)')
    await world.reader.rows('COMMIT')
  },
)

labTest(
  'a WAL that was started over is entered by capture before the guard leaves READ_LOCK(0)',
  async (lab) => {
    const world = await setUp(lab)
    await world.pass()
    assert.equal(world.guard.slot, 0)
    const before = world.salt()
    world.captures = false
    await world.write()
    assert.notEqual(world.salt(), before, 'the WAL was started over, as it may')
    assert.equal((await world.pass()).isComplete, false)
    assert.equal(world.guard.mayReset, true, 'capture, which comes late, would take it for a loss')
    world.captures = true
    assert.equal((await world.pass()).isComplete, true)
  },
)

function capturedTo(frame: number): CapturedFrame {
  const captured = new CapturedFrame()
  captured.set(7, frame)
  return captured
}

/** A pass over a WAL that a fence alone brings to its end, with a wal-index of its own. */
function fencedPass(
  isRead: (look: number) => boolean,
  fence: 'unless-read' | 'always',
  { captured = capturedTo(10), stopMs = 10, rounds = 0, onFence = () => {} } = {},
) {
  const counts = { busy: false, walFrames: 10, backfilled: 5 }
  let looks = 0
  let backfills = 0
  let nowMs = 0
  const pass = runResetPass(
    {
      begin: () => true,
      end() {},
      backfill: () => {
        backfills++
        nowMs += 4
        return counts
      },
      takeFence: () => {
        onFence()
        return true
      },
      releaseFence() {},
      isRead: () => {
        nowMs += 0.1
        return isRead(++looks)
      },
      published: () => ({ salt1: 7, mxFrame: 10 }),
      backfilledFrames: () => 5,
      captured,
      askForCapture() {},
      nowMs: () => (nowMs += 0.01),
    },
    { current: 0, rounds, fence, fenceMs: 1, stopMs, maxMissing: 10 },
  )
  return { ...pass, backfills, nowMs }
}

test('a fence is let go of as soon as another process reads, also between two rounds', () => {
  assert.equal(fencedPass(() => false, 'unless-read').yielded, false)
  assert.equal(fencedPass(() => false, 'unless-read').backfills, 4)
  for (let first = 1; first <= 8; first++) {
    const pass = fencedPass((look) => look >= first, 'unless-read')
    assert.equal(pass.yielded, true, `seen at look ${first}`)
    assert.ok(pass.backfills <= 1, `seen at look ${first}`)
  }
  const forced = fencedPass(() => true, 'always')
  assert.equal(forced.yielded, false)
  assert.equal(forced.backfills, 4)
})

test('a fence waits for capture as long as it may, and no longer', () => {
  const late = (stopMs: number, atLook: number) => {
    const captured = capturedTo(0)
    const isRead = (look: number) => {
      if (look === atLook) captured.set(7, 10)
      return false
    }
    return fencedPass(isRead, 'unless-read', { captured, stopMs })
  }
  assert.ok(late(10, 50).backfills > 0)
  const short = late(10, 200)
  assert.equal(short.backfills, 0)
  assert.ok(short.nowMs < 21, `stopped for ${short.nowMs} ms`)
  assert.ok(late(50, 200).backfills > 0)
})

test('a reader that blocks a short fence is waited for as long as one behind a long fence', () => {
  const pass = fencedPass(() => false, 'always', { stopMs: 4 })
  assert.equal(pass.isBlocked, true)
  assert.ok(pass.backfills > 1, 'it was looked for once more')
})

test('a reader that was in the way before the fence came is not one that the fence met', () => {
  const captured = capturedTo(10)
  const fence = { captured, rounds: 1, onFence: () => captured.set(7, 0) }
  const pass = fencedPass(() => false, 'always', fence)
  assert.equal(pass.backfills, 1, 'capture kept the fence from its end')
  assert.equal(pass.isBlocked, false)
})

test('a long fence is short when a reader blocks it', () => {
  const pass = fencedPass(() => false, 'always', { stopMs: 250 })
  assert.equal(pass.isBlocked, true)
  assert.ok(pass.fencedMs < 25, `stopped for ${pass.fencedMs} ms`)
  assert.ok(pass.backfills > 1, 'a reader that ends soon is waited for')
})

test('whatever fails in a pass, the guard that is open is known', () => {
  for (const fails of ['begin', 'backfill', 'takeFence', 'isRead'] as const)
    for (let at = 1; at <= 3; at++) {
      const open = new Set<number>([0])
      let calls = 0
      const failing = <T>(what: string, value: T): T => {
        if (what === fails && ++calls === at) throw new Error('disk I/O error')
        return value
      }
      const captured = new CapturedFrame()
      captured.set(7, 10)
      const pass = runResetPass(
        {
          begin: (guard) => failing('begin', true) && Boolean(open.add(guard)),
          end: (guard) => void open.delete(guard),
          backfill: () => failing('backfill', { busy: false, walFrames: 10, backfilled: 5 }),
          takeFence: () => failing('takeFence', true) && Boolean(open.add(9)),
          releaseFence: () => void open.delete(9),
          isRead: () => failing('isRead', false),
          published: () => ({ salt1: 7, mxFrame: 10 }),
          backfilledFrames: () => 5,
          captured,
          askForCapture() {},
          nowMs: () => performance.now(),
        },
        { current: 0, rounds: 2, fence: 'unless-read', fenceMs: 1, stopMs: 10, maxMissing: 10 },
      )
      assert.deepEqual([...open], [pass.current], `${fails} ${at}`)
      assert.equal(pass.failure, calls >= at ? 'disk I/O error' : undefined)
    }
})

labTest('no writer is fenced out while capture is far behind', async (lab) => {
  const world = await setUp(lab)
  const request = { rounds: 0, fence: 'always', fenceMs: 100, stopMs: 10 } as const
  const pass = await world.pass({ ...request, maxMissing: 0 })
  assert.equal(pass.isComplete, false)
  assert.equal(pass.fencedMs, 0, 'there was no fence to rest from')
  assert.equal(world.asked, 0)
  assert.equal((await world.pass({ ...request, maxMissing: 1000 })).isComplete, true)
})

labTest('a fence that cannot be had changes nothing', async (lab) => {
  const world = await setUp(lab)
  await world.writer.rows('BEGIN IMMEDIATE')
  const pass = await world.pass({
    rounds: 0,
    fence: 'always',
    fenceMs: 5,
    stopMs: 10,
    maxMissing: 1000,
  })
  assert.equal(pass.fencedMs, 0)
  assert.equal(pass.isComplete, false)
  await world.writer.rows('INSERT INTO t(v) VALUES (2)')
  await world.writer.rows('COMMIT')
  assert.equal((await world.pass()).isComplete, true)
})
