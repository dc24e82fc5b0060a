/** How far commands are: the same numbers on terminals, in logs and for programs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { showBackup } from '../../src/cli/backupProgress.ts'
import { displayWidth } from '../../src/cli/displayWidth.ts'
import {
  PaceMeter,
  type Progress,
  progressBar,
  progressJson,
  progressText,
} from '../../src/cli/progress.ts'
import { ProgressOutput } from '../../src/cli/progressOutput.ts'
import { ReadProgress } from '../../src/cli/readProgress.ts'
import { SteppedTime, written } from '../support/progressStream.ts'

const MIB = 1024 * 1024
const UNKNOWN = { perSecond: undefined, secondsLeft: undefined }
const TERMINAL = { isTTY: true, columns: 80 }
const PIPE = { isTTY: false, columns: 0 }

function reading(mib: number, total: number | undefined = 100 * MIB): Progress {
  return { phase: 'verifying', done: mib * MIB, total, unit: 'bytes' }
}

test('the rate is that of the last seconds; a stall lowers it, and nothing is divided by 0', () => {
  const meter = new PaceMeter()
  const next = (mib: number, second: number) => {
    const { perSecond, secondsLeft } = meter.next(reading(mib), second * 1000)
    return [perSecond && perSecond / MIB, secondsLeft]
  }
  assert.deepEqual(next(0, 0), [undefined, undefined])
  assert.deepEqual(next(20, 1), [20, 4])
  assert.deepEqual(next(20, 2), [10, 8])
  assert.deepEqual(next(20, 2), [10, 8])
  for (let second = 3; second <= 11; second++) next(20, second)
  assert.deepEqual(next(20, 12), [undefined, undefined], 'it stands still')
  assert.deepEqual(next(31, 13), [1, 69])
})

test('looks that are far apart have a rate too', () => {
  const meter = new PaceMeter()
  meter.next(reading(0), 0)
  assert.deepEqual(meter.next(reading(30), 30_000), { perSecond: MIB, secondsLeft: 70 })
  assert.deepEqual(meter.next(reading(90), 60_000), { perSecond: 2 * MIB, secondsLeft: 5 })
})

test('texts for logs: percent, amounts, rate and time left, as far as they are known', () => {
  for (const [progress, pace, text] of [
    [
      reading(20),
      { perSecond: 20 * MIB, secondsLeft: 4 },
      '20 %, 20.0 MiB of 100.0 MiB, 20.0 MiB/s, 4 s left',
    ],
    [reading(20), UNKNOWN, '20 %, 20.0 MiB of 100.0 MiB'],
    [reading(99.99), UNKNOWN, '99 %, 100.0 MiB of 100.0 MiB'],
    [reading(0), { perSecond: 1, secondsLeft: 1000 }, '0 %, 0 B of 100.0 MiB, 1 B/s, 17 min left'],
    [reading(0), { perSecond: 1, secondsLeft: 99_999 }, '0 %, 0 B of 100.0 MiB, 1 B/s, 28 h left'],
    [
      { ...reading(3), total: undefined },
      { perSecond: MIB, secondsLeft: undefined },
      '3.0 MiB, 1.0 MiB/s',
    ],
    [{ ...reading(0), total: 0 }, UNKNOWN, '100 %, 0 B of 0 B'],
    [
      { phase: 'verifying', done: 5, total: 50, unit: 'rows' },
      { perSecond: 2.5, secondsLeft: 18 },
      '10 %, 5 of 50 rows, 2.5 rows/s, 18 s left',
    ],
    [
      { phase: 'verifying', done: 5, total: undefined, unit: 'rows' },
      { perSecond: 12.5, secondsLeft: undefined },
      '5 rows, 13 rows/s',
    ],
  ] as const)
    assert.equal(progressText(progress, pace), `verifying: ${text}`)
})

test('a bar where there is room for one; what matters most is left in a narrow terminal', () => {
  const pace = { perSecond: 20 * MIB, secondsLeft: 4 }
  const told = '20.0 MiB of 100.0 MiB, 20.0 MiB/s, 4 s left'
  for (const [columns, line] of [
    [119, `verifying [${'#'.repeat(6).padEnd(30, '.')}]  20 %, ${told}`],
    [79, `verifying [##........]  20 %, ${told}`],
    [60, 'verifying [####................]  20 %, 20.0 MiB/s, 4 s left'],
    [39, 'verifying: 20 %, 20.0 MiB/s, 4 s left'],
    [25, 'verifying: 20 %, 4 s left'],
    [15, 'verifying: 20 %'],
    [6, 'ver… %'],
  ] as const)
    assert.equal(progressBar(reading(20), pace, columns), line)
  const unknown = progressBar(
    { ...reading(20), total: undefined },
    { ...pace, secondsLeft: undefined },
    79,
  )
  assert.equal(unknown, 'verifying: 20.0 MiB, 20.0 MiB/s')
})

test('no line is wider than the terminal, whatever there is to tell', () => {
  const PROGRESS = fc.record({
    phase: fc.string({ maxLength: 60, unit: 'grapheme' }),
    done: fc.nat({ max: 2 ** 48 }),
    total: fc.option(fc.nat({ max: 2 ** 48 }), { nil: undefined }),
    unit: fc.constantFrom('bytes', 'rows'),
  })
  const PACE = fc.record({
    perSecond: fc.option(fc.double({ min: 0, max: 2 ** 48, noNaN: true }), { nil: undefined }),
    secondsLeft: fc.option(fc.nat(), { nil: undefined }),
  })
  fc.assert(
    fc.property(PROGRESS, PACE, fc.integer({ min: 1, max: 200 }), (progress, pace, columns) => {
      const line = progressBar(progress, pace, columns)
      assert.ok(displayWidth(line) <= columns, line)
      assert.doesNotMatch(line, /NaN|undefined|Infinity/)
      assert.doesNotMatch(progressText(progress, pace), /NaN|undefined|Infinity/)
      assert.ok(JSON.stringify(progressJson(progress, pace)).includes('"event":"progress"'))
    }),
  )
})

test('a terminal has one line that changes four times a second, and is clear at the end', (t) => {
  const time = new SteppedTime(t)
  const { stream, all } = written(TERMINAL)
  const output = new ProgressOutput(false, stream, { NO_COLOR: '1' })
  for (let i = 0; i <= 100; i++) {
    output.show(reading(i))
    time.pass(10)
  }
  const drawn = all().split('\r')
  assert.equal(drawn.length - 1, 4)
  assert.equal(
    drawn[3],
    'verifying [#########.]  99 %, 99.0 MiB of 100.0 MiB, 99.0 MiB/s, 1 s left\u001b[K',
  )
  assert.ok(!all().includes('\n'))
  output.say('a warning\n')
  assert.ok(all().endsWith('\r\u001b[Ka warning\n'), 'the warning begins a clear line')
  time.pass(250)
  output.end()
  assert.ok(all().endsWith('\r\u001b[K'))
  const { length } = all()
  time.pass(60_000)
  output.end()
  assert.equal(all().length, length, 'it has ended')
})

test('the width is the one of now', (t) => {
  const time = new SteppedTime(t)
  const terminal = { ...TERMINAL, columns: 120 }
  let last = ''
  const write = (text: string | Uint8Array) => {
    last = String(text)
    return true
  }
  const stream = {
    isTTY: true,
    write,
    get columns() {
      return terminal.columns
    },
  }
  const output = new ProgressOutput(false, stream, {})
  for (const columns of [120, 40, 20]) {
    terminal.columns = columns
    output.show(reading(columns / 4))
    time.pass(250)
    assert.ok(last.length - '\u001b[K\r'.length < columns, last)
    assert.ok(last.startsWith('verifying'), last)
  }
  output.end()
})

test('elsewhere a line every 10 s, also of what stands still; a dumb terminal is no other', (t) => {
  for (const [as, environment] of [
    [PIPE, {}],
    [TERMINAL, { TERM: 'dumb' }],
  ] as const) {
    const time = new SteppedTime(t)
    const { stream, lines } = written(as)
    const output = new ProgressOutput(false, stream, environment)
    output.show(reading(0))
    time.pass(9999)
    assert.deepEqual(lines(), [])
    output.wait('for others')
    output.show(reading(50))
    time.pass(20_001)
    output.end()
    assert.deepEqual(lines(), [
      'verifying: 50 %, 50.0 MiB of 100.0 MiB, 5.0 MiB/s, 10 s left',
      'verifying: 50 %, 50.0 MiB of 100.0 MiB, 2.5 MiB/s, 20 s left',
      'verifying: 50 %, 50.0 MiB of 100.0 MiB',
    ])
  }
})

test('programs get an object a second', (t) => {
  const time = new SteppedTime(t)
  const { stream, lines } = written(TERMINAL)
  const output = new ProgressOutput(true, stream, {})
  output.show(reading(0))
  output.show(reading(20))
  time.pass(1000)
  output.show({ phase: 'comparing', done: 7, total: undefined, unit: 'rows' })
  time.pass(1000)
  output.end()
  const total = 100 * MIB
  assert.deepEqual(
    lines().map((line) => JSON.parse(line)),
    [
      {
        event: 'progress',
        phase: 'verifying',
        unit: 'bytes',
        done: 20 * MIB,
        total,
        perSecond: 20 * MIB,
        secondsLeft: 4,
      },
      {
        event: 'progress',
        phase: 'comparing',
        unit: 'rows',
        done: 7,
        total: null,
        perSecond: null,
        secondsLeft: null,
      },
    ],
  )
})

test('bytes that are read twice do not count past the end', (t) => {
  const time = new SteppedTime(t)
  const { stream, lines } = written(PIPE)
  const reading = new ReadProgress(new ProgressOutput(false, stream, {}))
  reading.add(500)
  reading.begin('restoring', 1000)
  reading.add(900)
  reading.add(200)
  time.pass(10_000)
  reading.end()
  assert.deepEqual(lines(), ['restoring: 100 %, 1000 B of 1000 B, 100 B/s, 0 s left'])
})

test('snapshots into several places count together; without one it says what it waits for', (t) => {
  const time = new SteppedTime(t)
  const { stream, lines, all } = written({ isTTY: true, columns: 60 })
  const output = new ProgressOutput(false, stream, {})
  const place = { place: '/a', isArchiving: true }
  showBackup({ backup: { places: [place] } }, output)
  showBackup(
    { backup: { places: [{ ...place, isArchiving: false, archivist: 'node-b' }] } },
    output,
  )
  const both = [1, 3].map((done) => ({
    ...place,
    snapshotWriting: { done: done * MIB, total: 8 * MIB },
  }))
  showBackup({ backup: { places: both } }, output)
  time.pass(250)
  output.end()
  assert.deepEqual(lines(), [])
  const drawn = all().split('\u001b[K\r')
  assert.deepEqual(drawn.slice(0, 3), [
    'waiting until every place has it',
    'waiting for node-b, which archives',
    'writing the snapshot [#######.......................]  25 %',
  ])
})
