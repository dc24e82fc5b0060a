import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { systemClock } from '../src/clock.ts'
import { Wake } from '../src/leader/wake.ts'
import { until } from './support/until.ts'

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
  // From the event on: nothing; nothing; found by the timer, so that polling begins; nothing; nothing; found.
  const found = new Set([3, 6])
  const host = {
    look() {
      looks++
      if (afterEvent === 0) return false
      holdUp(4)
      return found.has(afterEvent++)
    },
    isWriteUnderWay: () => false,
  }
  // A clock that stands still: the looks after an event go on until one of them finds something.
  const startMs = systemClock.nowMs()
  const options = { pollAbovePerSecond: 0, pollMs: 1, idleMs: 20 }
  const wake = new Wake(path, options, { nowMs: () => startMs }, host)
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
  const host = { look: () => ++looks < 0, isWriteUnderWay: () => false }
  const options = { pollAbovePerSecond: 1000, pollMs: 1, idleMs: 60_000 }
  // The clock stands still: a spin would not end.
  const wake = new Wake(path, options, { nowMs: () => 1000 }, host)
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
