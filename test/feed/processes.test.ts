/**
 * Of the processes that a node hears of, two of one id are two when they live beside each other:
 * never a process and its next one.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BESIDE_MS, type Heard, Processes, SILENCE_MS } from '../../src/feed/processes.ts'

const START_MS = 1_700_000_000_000
const REPORT_MS = 1000

/** A word of process `instance` of node `n` that is heard on the connection `via`. */
function word(instance: string, given: Partial<Heard<string>> = {}): Heard<string> {
  return {
    node: 'n',
    instance,
    upSinceMs: 0,
    heardMs: 0,
    address: `${instance}:1`,
    via: 'relay',
    ...given,
  }
}

/** Hears the words of each ms, counted from START_MS, in order; gives what was found and when. */
function hear(words: readonly (readonly [number, Heard<string>])[]) {
  const processes = new Processes<string>()
  const inOrder = [...words].sort(([a], [b]) => a - b)
  return inOrder.flatMap(([atMs, each]) => {
    const nowMs = START_MS + atMs
    const twins = processes.heard({ ...each, heardMs: nowMs - each.heardMs }, nowMs)
    return twins ? [{ atMs, first: twins.first.instance, later: twins.later.instance }] : []
  })
}

/** Heard of once a second from `fromMs` to `toMs`. */
function alive(process: Heard<string>, fromMs: number, toMs: number): [number, Heard<string>][] {
  const words: [number, Heard<string>][] = []
  for (let atMs = fromMs; atMs <= toMs; atMs += REPORT_MS) words.push([atMs, process])
  return words
}

test('two that live beside each other are found; the later one is told again', () => {
  const first = word('one', { upSinceMs: START_MS - 5000, via: 'a' })
  const later = word('two', { upSinceMs: START_MS - 4000, via: 'b' })
  assert.deepEqual(hear([...alive(first, 0, 30_000), ...alive(later, 300, 30_000)]), [
    { atMs: 11_000, first: 'one', later: 'two' },
    { atMs: 21_300, first: 'one', later: 'two' },
  ])
})

test('the process up for longer keeps the id; of equals the higher instance', () => {
  const [long, short] = [word('a', { upSinceMs: 1 }), word('b', { upSinceMs: 2 })]
  for (const [one, other] of [
    [long, short],
    [short, long],
  ])
    assert.deepEqual(hear([...alive(one, 0, 15_000), ...alive(other, 2500, 15_000)])[0], {
      atMs: 13_000,
      first: 'a',
      later: 'b',
    })
  const [twin] = hear([...alive(word('a'), 0, 12_000), ...alive(word('b'), 0, 12_000)])
  assert.deepEqual([twin.first, twin.later], ['b', 'a'])
})

test('one process that goes on elsewhere, or is told of by two at once, is one', () => {
  const words = [
    ...alive(word('one', { via: 'a' }), 0, 30_000),
    ...alive(word('one', { via: 'b' }), 500, 30_000),
  ]
  assert.deepEqual(hear(words), [])
})

test('the same instance under another id, one without an instance, another node: no twins', () => {
  const words = [
    ...alive(word('one'), 0, 30_000),
    ...alive(word('one', { node: 'm' }), 0, 30_000),
    ...alive(word('two', { node: 'm2' }), 0, 30_000),
    ...alive(word(''), 0, 30_000),
  ]
  assert.deepEqual(hear(words), [])
})

/** After its death: anything, and often what a silence just allows. */
const lateMs = fc.oneof(
  fc.nat(60_000),
  fc.integer({ min: SILENCE_MS - 800, max: SILENCE_MS + 100 }),
)

test('a process and its next one are never two, however late the last word is', () => {
  fc.assert(
    fc.property(
      fc.nat(20_000),
      fc.nat(300),
      fc.array(fc.record({ lateMs, silentMs: fc.nat(3000) }), { maxLength: 3 }),
      fc.nat(2000),
      (diesMs, pauseMs, stalls, jitterMs) => {
        const former = word('old', { upSinceMs: 0, via: 'a' })
        const next = word('new', { upSinceMs: START_MS + diesMs, via: 'b' })
        // What it said last stands still somewhere, and comes in one go: within a moment, however
        // much it is.
        const [{ lateMs, silentMs } = { lateMs: 0, silentMs: 0 }] = stalls
        const late = stalls.map((_, i): [number, Heard<string>] => [
          diesMs + lateMs + 3 * i,
          { ...former, heardMs: silentMs },
        ])
        const words = [
          ...alive(former, 0, diesMs),
          ...late,
          ...alive(next, diesMs + pauseMs + jitterMs, diesMs + 90_000),
        ]
        assert.deepEqual(hear(words), [])
      },
    ),
    { numRuns: 2000 },
  )
})

test('a replica that is told of as connected and stays silent counts as dead', () => {
  const silent = Array.from({ length: 60 }, (_, i): [number, Heard<string>] => [
    i * REPORT_MS,
    word('old', { heardMs: i * REPORT_MS, via: 'a' }),
  ])
  assert.deepEqual(
    hear([...silent, ...alive(word('new', { upSinceMs: 9, via: 'b' }), 100, 60_000)]),
    [],
  )
})

test('what was heard of before a silence does not count after it', () => {
  const [one, two] = [word('one'), word('two', { upSinceMs: 1 })]
  const gapMs = SILENCE_MS + REPORT_MS + 1
  const words = [
    ...alive(one, 0, BESIDE_MS - REPORT_MS),
    ...alive(one, BESIDE_MS - REPORT_MS + gapMs, 20_000 + gapMs),
    ...alive(two, 0, 60_000),
  ]
  const [{ atMs }] = hear(words)
  const againMs = BESIDE_MS - REPORT_MS + gapMs
  assert.ok(atMs >= againMs + BESIDE_MS && atMs < againMs + BESIDE_MS + REPORT_MS, `${atMs} ms`)
})

test('many ids and restarts stay within the bounds, and living twins are found among them', () => {
  const processes = new Processes<string>()
  let found = 0
  for (let i = 0; i < 30; i++) {
    const nowMs = START_MS + i * REPORT_MS
    const heard = (each: Heard<string>) => processes.heard({ ...each, heardMs: nowMs }, nowMs)
    heard(word('one'))
    for (let j = 0; j < 6; j++) heard(word(`crashed ${i} ${j}`, { upSinceMs: 2 }))
    if (heard(word('two', { upSinceMs: 1 }))?.later.instance === 'two') found++
    for (let j = 0; j < 1000; j++) heard(word('x', { node: `other ${j}` }))
  }
  assert.equal(found, 2)
  for (let j = 0; j < 5000; j++)
    processes.heard(word('x', { node: `more ${j}`, heardMs: START_MS }), START_MS)
  assert.equal(processes.viaOf('n', 'one'), undefined)
  assert.equal(processes.viaOf('more 4999', 'x'), 'relay')
})
