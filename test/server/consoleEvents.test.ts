/** The stream of the page: each part when it has changed, for all who listen, within bounds. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { ConsoleEvents, type ConsolePart } from '../../src/server/consoleEvents.ts'
import { EventStreams } from '../../src/server/eventStreams.ts'
import { until } from '../support/until.ts'

class FakeResponse extends EventEmitter {
  destroyed = false
  writableEnded = false
  writableLength = 0
  text = ''
  writeHead(): void {}
  write(text: string): void {
    this.text += text
  }
  end(): void {
    this.destroy()
  }
  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.emit('close')
  }
  count(event: string): number {
    return this.text.split(`event: ${event}\n`).length - 1
  }
}

function setUp(parts: readonly ConsolePart[], maxListeners = 4) {
  const streams = new EventStreams({ maxListeners, keepAliveMs: 60_000 })
  const events = new ConsoleEvents(streams, parts)
  const listen = (isStillIn = () => true) => {
    const response = new FakeResponse()
    events.add(response as unknown as ServerResponse, isStillIn, null)
    return response
  }
  return { streams, listen }
}

test('a part comes when it has changed, and to a late listener as it is', async (t) => {
  const told = { clock: 0, lag: 1, read: 0 }
  const { streams, listen } = setUp([
    { event: 'clock', read: () => ++told.clock },
    { event: 'lag', read: async () => ({ lag: told.lag, at: ++told.read }), changing: lagOf },
    {
      event: 'node',
      read: () => {
        throw new Error('the node starts')
      },
    },
    { event: 'cluster', read: () => undefined },
  ])
  t.after(() => streams.close())
  const first = listen()
  assert.match(first.text, /^event: session\ndata: null\n\n/)
  await until('three rounds', () => first.count('clock') >= 3)
  assert.equal(first.count('lag'), 1)
  const second = listen()
  assert.ok(second.text.includes('event: lag\ndata: {"lag":1,"at":1}\n\n'))
  told.lag = 2
  await until('the change', () => first.count('lag') === 2 && second.count('lag') === 2)
  assert.equal(first.count('node') + first.count('cluster'), 0)
})

const lagOf = (value: unknown) => Object(value).lag

test('nothing is read for nobody, nor told to whom is no longer let in', async () => {
  let reads = 0
  let isIn = true
  const { streams, listen } = setUp([{ event: 'clock', read: () => ++reads }])
  assert.equal(reads, 0)
  const response = listen(() => isIn)
  await until('a first word', () => response.count('clock') === 1)
  isIn = false
  await until('it is cut off', () => response.destroyed)
  assert.equal(response.count('clock'), 1)
  assert.equal(streams.size, 0)
  const before = reads
  const next = listen()
  await until('it begins anew', () => reads > before)
  next.destroy()
})

test('too many listeners are refused, and one that does not read is cut off', async (t) => {
  let read = 0
  const { streams, listen } = setUp([{ event: 'clock', read: () => ++read }], 1)
  t.after(() => streams.close())
  const response = listen()
  assert.throws(() => listen(), { key: 'TOO_MANY_EVENT_STREAMS' })
  response.writableLength = 3_000_000
  await until('it is cut off', () => response.destroyed)
  listen()
})
