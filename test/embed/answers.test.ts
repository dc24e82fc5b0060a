/**
 * Legal but rare messages through `walcast/fastify`: forwarded by a replica, and remembered for a
 * key.
 */
import assert from 'node:assert/strict'
import type { Server } from 'node:http'
import type { FastifyHttpOptions, FastifyInstance } from 'fastify'
import { servedPair } from '../support/embedded.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { RawHttp } from '../support/trafficLab.ts'

const MIB = 1024 * 1024
/** There is room for what nodes add. */
const LARGE_HEADS: FastifyHttpOptions<Server> = { http: { maxHeaderSize: 20 * 1024 } }

function build(app: FastifyInstance): void {
  app.addContentTypeParser('*', (_request, payload, done) => {
    payload.on('end', () => done(null, 'read'))
    payload.resume()
  })
  app.post('/unchanged', (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(304, { etag: '"x"', 'content-length': '5' })
    reply.raw.end()
  })
  app.post('/empty', (_request, reply) => {
    reply.hijack()
    reply.raw.socket?.end('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello')
  })
  app.post('/hints', async (_request, reply) => {
    reply.raw.writeEarlyHints({ link: '</a>; rel=preload' })
    return 'done'
  })
  app.post('/trailers', async (request) => ({
    trailers: request.raw.rawTrailers,
    url: request.raw.url,
  }))
  const onRequest = async () => {
    throw Object.assign(new Error('no!'), { statusCode: 401 })
  }
  app.post('/early', { onRequest }, async () => 'never')
  app.post('/next', async (request) => ({ host: request.headers.host, next: true }))
}

interface Way {
  readonly name: string
  readonly port: number
  readonly more: string
}

async function startWays(lab: Lab): Promise<() => Way[]> {
  const { onLeader, onReplica } = await servedPair(lab, build, undefined, LARGE_HEADS)
  const [atLeader, atReplica] = [onLeader, onReplica].map(({ url }) => Number(new URL(url).port))
  let keys = 0
  const keyed = () => `Idempotency-Key: embedded${keys++}\r\n`
  return () => [
    { name: 'the replica forwards', port: atReplica, more: '' },
    { name: 'the replica, with a key', port: atReplica, more: keyed() },
    { name: 'the leader, with a key', port: atLeader, more: keyed() },
  ]
}

const NEXT = 'POST /next HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n'

/** All bytes of the answer for `path`, and behind it the answer to another request. */
async function answered(lab: Lab, { port, more }: Way, path: string): Promise<string> {
  const raw = await RawHttp.open(lab, port)
  raw.write(`POST ${path} HTTP/1.1\r\nHost: app.test\r\n${more}Content-Length: 0\r\n\r\n${NEXT}`)
  await raw.seen('"next":true')
  raw.socket.destroy()
  return raw.text.slice(0, raw.text.lastIndexOf('HTTP/1.1 '))
}

labTest(
  'a Fastify application gets and answers requests through a replica unchanged',
  async (lab) => {
    const ways = await startWays(lab)
    for (const way of ways()) {
      const unchanged = await answered(lab, way, '/unchanged')
      assert.match(
        unchanged,
        /^HTTP\/1.1 304 Not Modified\r\n[\s\S]*content-length: 5\r\n[\s\S]*\r\n\r\n$/,
        way.name,
      )
    }
    for (const way of ways()) {
      const empty = await answered(lab, way, '/empty')
      assert.match(empty, /^HTTP\/1.1 204 No Content\r\n[\s\S]*\r\n\r\n$/, way.name)
      assert.doesNotMatch(empty, /hello|content-length/i, way.name)
    }
    for (const way of ways()) {
      const hints = await answered(lab, way, '/hints')
      assert.ok(
        hints.startsWith(
          'HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK',
        ),
        hints,
      )
    }
    for (const way of ways()) {
      const request = 'POST http://named.test/trailers HTTP/1.1\r\nHost: app.test\r\n'
      const head = `${request}Content-Type: text/x\r\n${way.more}Connection: close\r\n`
      const body = '3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n'
      const text = await RawHttp.exchange(
        lab,
        way.port,
        `${head}Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
      )
      assert.match(text, /"trailers":\["X-Sum","6"\]/, `${way.name}: ${text}`)
    }
    for (let round = 0; round < 5; round++)
      for (const way of ways()) {
        const raw = await RawHttp.open(lab, way.port)
        raw.write(
          `POST /early HTTP/1.1\r\nHost: a\r\n${way.more}Content-Length: ${2 * MIB}\r\n\r\n`,
        )
        raw.write('x'.repeat(2 * MIB))
        await raw.seen('no!')
        assert.match(raw.text, /^HTTP\/1.1 401 Unauthorized\r\n/, way.name)
        raw.socket.destroy()
      }
    for (const way of ways()) {
      const request = `POST /next HTTP/1.1\r\nHost: app.test\r\n${way.more}`
      const head = `${request}Connection: close\r\nContent-Length: 0\r\nX-A: `
      const text = await RawHttp.exchange(
        lab,
        way.port,
        `${head}${'a'.repeat(19_000 - head.length)}\r\n\r\n`,
      )
      assert.match(text, /^HTTP\/1.1 200 OK\r\n/, way.name)
    }
  },
)
