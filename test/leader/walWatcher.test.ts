import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay, setImmediate } from 'node:timers/promises'
import { WalWatcher } from '../../src/leader/walWatcher.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { until } from '../support/until.ts'

/** Longer than any timer that is due next, so that timers and immediates come by turns. */
function holdUp(ms: number): void {
  const endMs = performance.now() + ms
  while (performance.now() < endMs);
}

test('looking goes on when timers fall between the looks after a file event', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-test-'))
  const path = join(folder, 'a-wal')
  writeFileSync(path, '')
  let looks = 0
  let afterEvent = 0
  // From the event on: nothing; nothing; found by the timer, so that polling begins; nothing;
  // nothing; found.
  const found = new Set([3, 6])
  const host = {
    look() {
      looks++
      if (afterEvent === 0) return false
      holdUp(4)
      return found.has(afterEvent++)
    },
    isWriteUnderWay: () => false,
    onUnwatched() {},
  }
  // A clock that stands still: the looks after an event go on until one of them finds something.
  const startMs = systemClock.nowMs()
  const options = { pollAbovePerSecond: 0, pollMs: 1, idleMs: 20 }
  const wake = new WalWatcher(path, options, { nowMs: () => startMs }, host)
  try {
    wake.start()
    await until('it looks', () => looks > 3)
    afterEvent = 1
    writeFileSync(path, 'x')
    await until('it has found something twice', () => afterEvent > 6)
    const before = looks
    await until('it looks on', () => looks > before + 10)
  } finally {
    wake.stop()
    rmSync(folder, { recursive: true })
  }
})

test('the event of a commit that is captured already starts no spin', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-test-'))
  const path = join(folder, 'a-wal')
  writeFileSync(path, '')
  let looks = 0
  const host = { look: () => ++looks < 0, isWriteUnderWay: () => false, onUnwatched() {} }
  const options = { pollAbovePerSecond: 1000, pollMs: 1, idleMs: 60_000 }
  // The clock stands still: a spin would not end.
  const wake = new WalWatcher(path, options, { nowMs: () => 1000 }, host)
  const looksAfterEvent = async () => {
    const before = looks
    writeFileSync(path, 'x')
    await until('it looks', () => looks > before)
    const first = looks
    for (let turn = 0; turn < 50; turn++) await setImmediate()
    return looks - first
  }
  try {
    wake.start()
    await until('it is idle', () => looks === 8)
    wake.onCaptured()
    assert.ok((await looksAfterEvent()) < 10)
  } finally {
    wake.stop()
    rmSync(folder, { recursive: true })
  }
})

/** Without file events to be had. */
function noEvents(): never {
  throw Object.assign(new Error('too many open files'), { code: 'EMFILE' })
}

test('without file events it looks often after a commit, then ever less often', async () => {
  let looks = 0
  let isFound = false
  const failures: unknown[] = []
  const host = {
    look: () => ++looks > 0 && isFound,
    isWriteUnderWay: () => false,
    onUnwatched: (error: unknown) => void failures.push(error),
  }
  const options = { pollAbovePerSecond: 1000, pollMs: 1, idleMs: 60_000 }
  const wake = new WalWatcher('a-wal', options, systemClock, host, noEvents)
  const looksWithin = async (ms: number) => {
    const before = looks
    const startMs = performance.now()
    await delay(ms)
    return ((looks - before) * ms) / (performance.now() - startMs)
  }
  try {
    wake.start()
    assert.equal(failures.length, 1, 'it says so, once')
    await delay(600)
    const idle = await looksWithin(1000)
    assert.ok(idle < 75, `${idle} looks a second when nothing happens`)
    await until('it looks on', () => looks > 100)
    isFound = true
    const from = looks
    await until('it looks often again', () => looks > from + 500)
    isFound = false
    await delay(600)
    assert.ok((await looksWithin(1000)) < 75)
    assert.equal(failures.length, 1)
  } finally {
    wake.stop()
  }
})

test('file events are taken up again once they are to be had', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-test-'))
  const path = join(folder, 'a-wal')
  writeFileSync(path, '')
  let nowMs = 1000
  let attempts = 0
  let looks = 0
  const host = { look: () => ++looks < 0, isWriteUnderWay: () => false, onUnwatched() {} }
  const options = { pollAbovePerSecond: 1000, pollMs: 1, idleMs: 60_000 }
  const wake = new WalWatcher(path, options, { nowMs: () => nowMs }, host, (file, onEvent) => {
    if (++attempts === 1) noEvents()
    return watch(file, onEvent)
  })
  try {
    wake.start()
    await until('it looks by the clock', () => looks > 40)
    assert.equal(attempts, 1)
    nowMs += 60_000
    await until('it watches', () => attempts === 2)
    await until('it is idle', async () => {
      const before = looks
      await delay(100)
      return looks === before
    })
    const before = looks
    // The clock stands still: a spin would not end.
    wake.onCaptured()
    writeFileSync(path, 'x')
    await until('an event wakes it', () => looks > before)
  } finally {
    wake.stop()
    rmSync(folder, { recursive: true })
  }
})
