import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FrameMap } from '../../src/sqlite/frameMap.ts'
import { PageReader } from '../../src/sqlite/pageReader.ts'
import { FRAME_HEADER_BYTES, frameOffset } from '../../src/sqlite/walFormat.ts'

const PAGE = 512

function reader(databaseFd: number, walFd: number, frames: FrameMap): PageReader {
  const pinned = (fd: number) => ({ path: '', fd, dev: 0n, ino: 0n })
  const files = {
    path: '',
    walPath: '',
    pageSize: PAGE,
    database: pinned(databaseFd),
    shm: pinned(-1),
    walFd,
  }
  return new PageReader({ files, frames })
}

test('the newest image comes from the WAL, others from the file, zeros past its end', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-pages-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(
    join(folder, 'db'),
    Buffer.concat([1, 2, 3, 4].map((fill) => Buffer.alloc(PAGE, fill))),
  )
  const wal = Buffer.alloc(frameOffset(4, PAGE))
  for (const frame of [1, 2, 3]) wal.fill(10 * frame, frameOffset(frame, PAGE) + FRAME_HEADER_BYTES)
  writeFileSync(join(folder, 'wal'), wal)
  const [db, walFd] = [join(folder, 'db'), join(folder, 'wal')].map((path) => openSync(path, 'r'))
  const frames = new FrameMap()
  frames.set(3, 2)
  const pages = reader(db, walFd, frames)
  const into = Buffer.alloc(5 * PAGE, 0xff)
  await pages.readAll([1, 2, 3, 4, 9], into)
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((i) => [into[i * PAGE], into[(i + 1) * PAGE - 1]]),
    [1, 2, 20, 4, 0].map((fill) => [fill, fill]),
  )
  assert.equal((await pages.read(3))[0], 20)
  assert.equal((await pages.readFrame(3))[0], 30)
  closeSync(db)
  closeSync(walFd)
})

test('pages that the disk does not give back read as zeros', async () => {
  // Nothing is mapped at the first addresses: a read there fails with EIO.
  const bad = openSync('/proc/self/mem', 'r')
  const into = Buffer.alloc(3 * PAGE, 0xff)
  await reader(bad, bad, new FrameMap()).readAll([1, 2, 4], into)
  assert.ok(into.every((byte) => byte === 0))
  closeSync(bad)
})
