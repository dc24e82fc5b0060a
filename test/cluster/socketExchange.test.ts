/** One request over a made connection, with peers that answer badly or not at all. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { AnswerTooLong, exchangeOver } from '../../src/cluster/socketExchange.ts'
import { answerText, type RawServer, rawServer } from '../support/rawServer.ts'

const ASKED = { method: 'GET', path: '/x?y', headers: { host: 'h' }, maxBytes: 100 } as const

async function connectTo(t: TestContext, { port }: RawServer): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

async function answered(t: TestContext, onText: (text: string, socket: Socket) => void) {
  const socket = await connectTo(t, await rawServer(t, onText))
  return exchangeOver(socket, ASKED)
}

test('a whole answer, and the connection is free for the next request', async (t) => {
  const server = await rawServer(t, (text, socket) => {
    if (text.endsWith('\r\n\r\n')) socket.write(answerText(503, 'no', ['x-a: b']))
    else if (text.endsWith('body')) socket.write(answerText(200, 'yes'))
  })
  const socket = await connectTo(t, server)
  const first = await exchangeOver(socket, ASKED)
  assert.deepEqual([first.status, first.headers['x-a'], String(first.body)], [503, 'b', 'no'])
  assert.match(server.received[0], /^GET \/x\?y HTTP\/1.1\r\nhost: h\r\nconnection: keep-alive\r\n/)
  assert.equal(socket.destroyed, false)
  const headers = { host: 'h', 'content-length': '4' }
  const second = await exchangeOver(socket, { ...ASKED, method: 'POST', headers, body: 'body' })
  assert.equal(String(second.body), 'yes')
  assert.equal(server.received.length, 1)
})

test('an answer of exactly the limit is read, a longer one is not', async (t) => {
  const whole = await answered(
    t,
    (_text, socket) => void socket.write(answerText(200, 'a'.repeat(100))),
  )
  assert.equal(whole.body.length, 100)
  const late = answered(t, (_text, socket) => void socket.write(answerText(200, 'a'.repeat(101))))
  await assert.rejects(late, AnswerTooLong)
})

test('an answer without end is given up', async (t) => {
  const endless = answered(t, (_text, socket) => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
    const more = () => {
      if (socket.write('10\r\n0123456789abcdef\r\n')) setImmediate(more)
      else socket.once('drain', more)
    }
    more()
  })
  await assert.rejects(endless, AnswerTooLong)
})

test('a head without end is given up', async (t) => {
  const endless = answered(t, (_text, socket) => {
    socket.write('HTTP/1.1 200 OK\r\n')
    const more = () => {
      if (socket.destroyed) return
      if (socket.write(`x-a: ${'b'.repeat(1000)}\r\n`)) setImmediate(more)
      else socket.once('drain', more)
    }
    more()
  })
  await assert.rejects(endless, { code: 'HPE_HEADER_OVERFLOW' })
})

test('half an answer is none', async (t) => {
  for (const half of [
    'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n',
    'HTTP/1.1 200 OK\r\ncontent-le',
    '',
  ])
    await assert.rejects(
      answered(t, (_text, socket) => void socket.end(half)),
      half,
    )
})

test('what is no HTTP is no answer', async (t) => {
  for (const text of ['SSH-2.0-OpenSSH_9\r\n', '\x16\x03\x01\x02\x00\x01', 'HTTP/1.1 abc\r\n\r\n'])
    await assert.rejects(
      answered(t, (_text, socket) => void socket.write(text, 'latin1')),
      text,
    )
})

test('a peer that is silent is given up when the signal says so', async (t) => {
  let tellHeard: () => void = () => {}
  const heard = new Promise<void>((resolve) => {
    tellHeard = resolve
  })
  const socket = await connectTo(t, await rawServer(t, () => tellHeard()))
  const abort = new AbortController()
  const silent = exchangeOver(socket, { ...ASKED, signal: abort.signal })
  await heard
  abort.abort()
  await assert.rejects(silent, { name: 'AbortError' })
  assert.equal(socket.destroyed, true)
})

test('a redirect is an answer, and is not followed', async (t) => {
  const third = await rawServer(t, () => {})
  const redirect = await answered(
    t,
    (_text, socket) =>
      void socket.write(answerText(307, '', [`location: http://${third.address}/`])),
  )
  assert.equal(redirect.status, 307)
  assert.deepEqual(third.received, [])
})
