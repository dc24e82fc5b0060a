/**
 * `walcast/fastify` as an application uses it: a leader and a replica in this process, requests
 * over the network.
 */
import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import type Database from 'better-sqlite3'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { freePort } from '../../src/cli/freePorts.ts'
import walcast from '../../src/embed/fastifyPlugin.ts'
import { formatPosition } from '../../src/embed/library.ts'
import {
  ask,
  countOf,
  embeddedLeader,
  embeddedPair,
  embeddedReplica,
  json,
  serve,
  servedPair,
} from '../support/embedded.ts'
import { labTest } from '../support/lab.ts'
import { until, within } from '../support/until.ts'

/** Less than the time that nodes keep idle connections. */
const LESS_MS = 20_000
const TEXT = { 'content-type': 'text/plain' }

function insert(db: Database.Database, value: unknown): void {
  db.prepare('INSERT INTO t (b) VALUES (?)').run(
    typeof value === 'string' ? value : JSON.stringify(value),
  )
}

/** Answers with the role of the node that executes it, after a write. */
async function write(db: Database.Database, request: FastifyRequest): Promise<object> {
  insert(db, request.body ?? 'nothing')
  return { role: request.server.walcast.role, body: request.body ?? null }
}

labTest(
  'routes that write run on the leader, reads here, and clients read what they wrote',
  async (lab) => {
    const ran: string[] = []
    const { onReplica, onLeader, replica, leader } = await servedPair(lab, (app, db) => {
      const { walcast: node } = app
      app.addHook('preValidation', async (request) => {
        ran.push(`${node.role} ${request.method} ${request.url}`)
      })
      app.get('/', async (request) => ({
        n: countOf(db),
        role: node.role,
        position: request.position ? formatPosition(request.position) : null,
      }))
      app.route({
        method: ['POST', 'PUT', 'PATCH', 'DELETE'],
        url: '/',
        handler: (request) => write(db, request),
      })
      app.get('/on-leader', { config: { walcast: 'leader' } }, async () => ({ role: node.role }))
      app.post('/here', { config: { walcast: 'local' } }, async () => ({ role: node.role }))
    })
    const first = await ask(onReplica.url)
    assert.deepEqual(JSON.parse(first.text), { n: 0, role: 'replica', position: null })
    assert.equal(first.headers.get('walcast-position'), formatPosition(replica.node.position))

    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const made = await ask(onReplica.url, json({ method }, method))
      assert.deepEqual(JSON.parse(made.text), { role: 'leader', body: { method } })
      const position = made.headers.get('walcast-position') ?? ''
      assert.match(position, /^\d+-\d+$/)
      const cookie = made.headers.getSetCookie()
      assert.equal(cookie.length, 1)
      assert.ok(cookie[0].includes(position))
      for (const headers of [
        { cookie: cookie[0].split(';')[0] },
        { 'walcast-position': position },
      ]) {
        const read = JSON.parse((await ask(onReplica.url, { headers })).text)
        assert.equal(read.role, 'replica')
        assert.equal(read.position, position)
        assert.equal(read.n, countOf(leader.db))
      }
    }
    assert.equal(countOf(leader.db), 4)
    assert.ok(
      !ran.some((line) => /^replica (?!GET)/.test(line)),
      'nothing of a forwarded route runs here',
    )
    assert.equal(JSON.parse((await ask(`${onReplica.url}/on-leader`)).text).role, 'leader')
    assert.equal(JSON.parse((await ask(`${onReplica.url}/here`, json({}))).text).role, 'replica')
    assert.equal(JSON.parse((await ask(`${onLeader.url}/here`, json({}))).text).role, 'leader')
    const direct = await ask(onLeader.url, json({}))
    assert.equal(direct.headers.getSetCookie().length, 1)
    assert.match(direct.headers.get('walcast-position') ?? '', /^\d+-\d+$/)
  },
)

labTest('a stray write on a replica fails at once, and the handle still reads', async (lab) => {
  const { replica, leader } = await embeddedPair(lab)
  await serve(lab, replica, () => {})
  for (const statement of [
    "INSERT INTO t (b) VALUES ('x')",
    'DELETE FROM t',
    'CREATE TABLE u (x)',
    'BEGIN IMMEDIATE',
  ])
    assert.throws(() => replica.db.exec(statement), { code: 'SQLITE_READONLY' }, statement)
  assert.equal(countOf(replica.db), 0)
  insert(leader.db, 'the leader writes')
  assert.equal(replica.node.status.lastError, undefined)
})

labTest('a handler that turns out to write is run by the leader', async (lab) => {
  const attempts: string[] = []
  const { onReplica, leader, replica } = await servedPair(lab, (app, db) => {
    const { walcast: node } = app
    app.addHook('preHandler', async () => {
      attempts.push(node.role)
    })
    const local = { config: { walcast: 'local' } } as const
    app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
    app.post('/async', local, async (request) => write(db, request))
    app.post('/sync', local, (request, reply) => {
      insert(db, request.body)
      void reply.code(201).send({ role: node.role, body: request.body })
    })
    app.get('/get', async (request) => write(db, request))
    app.get('/transaction', async () => {
      db.transaction(() => insert(db, 'x')).immediate()
      return { role: node.role }
    })
    app.get('/thenable', () => {
      const lazy = {
        // biome-ignore lint/suspicious/noThenProperty: what query builders give
        then: (done: (value: object) => void, failed: (error: unknown) => void) => {
          try {
            insert(db, 'thenable')
            done({ role: node.role })
          } catch (error) {
            failed(error)
          }
        },
      }
      return lazy as PromiseLike<object>
    })
    app.get('/sent-error', (_request, reply) => {
      try {
        insert(db, 'x')
        void reply.send({ role: node.role })
      } catch (error) {
        void reply.send(error)
      }
    })
    app.get('/wrapped', async () => {
      try {
        insert(db, 'x')
      } catch (error) {
        throw new Error('the query failed', { cause: error })
      }
      return { role: node.role }
    })
    app.get('/hook', { preHandler: async () => insert(db, 'a session') }, async () => ({
      role: node.role,
    }))
    app.get('/busy', async () => {
      if (!app.walcast.role.startsWith('leader'))
        throw Object.assign(new Error('busy'), { code: 'SQLITE_BUSY_SNAPSHOT' })
      insert(db, 'x')
      return { role: node.role }
    })
    app.get('/other', async () => {
      throw Object.assign(new Error('no'), { code: 'SQLITE_CONSTRAINT' })
    })
    const slow = async (_request: FastifyRequest, _reply: unknown, payload: unknown) =>
      delay(30, payload)
    app.get('/after-slowly', { onSend: slow }, async (_request, reply) => {
      void reply.send({ role: node.role })
      insert(db, 'x')
    })
    app.get('/after', async (_request, reply) => {
      void reply.send({ role: node.role })
      insert(db, 'x')
    })
  })
  let rows = 0
  const replayed = async (path: string, init: RequestInit = {}, body?: unknown) => {
    attempts.length = 0
    const { status, text, headers } = await ask(`${onReplica.url}${path}`, init)
    assert.ok(status < 300, `${path}: ${status} ${text}`)
    const got = JSON.parse(text)
    assert.equal(got.role, 'leader', path)
    if (body !== undefined) assert.deepEqual(got.body, body, path)
    assert.equal(countOf(leader.db), ++rows, path)
    assert.match(headers.get('walcast-position') ?? '', /^\d+-\d+$/)
    assert.equal(headers.getSetCookie().length, 1, `${path}: it was a write`)
    assert.deepEqual(attempts, ['replica', 'leader'], path)
    assert.equal(countOf(replica.db), rows, `${path}: applied here before the answer`)
  }
  await replayed('/async', json({ a: 1 }), { a: 1 })
  await replayed('/sync', json({ a: [1, 2] }), { a: [1, 2] })
  await replayed(
    '/async',
    { method: 'POST', headers: { 'content-type': 'application/x-odd' }, body: 'odd' },
    'odd',
  )
  await replayed(
    '/async',
    { method: 'POST', headers: TEXT, body: 'x'.repeat(60_000) },
    'x'.repeat(60_000),
  )
  const form = new FormData()
  form.set('file', new Blob(['hello']), 'a.txt')
  await replayed('/async', { method: 'POST', body: form })
  await replayed('/async', { method: 'POST' })
  await replayed('/get')
  await replayed('/transaction')
  await replayed('/thenable')
  await replayed('/sent-error')
  await replayed('/wrapped')
  await replayed('/hook')
  await replayed('/busy')

  const other = await ask(`${onReplica.url}/other`)
  assert.equal(other.status, 500)
  for (let i = 0; i < 5; i++) {
    const after = await ask(`${onReplica.url}/after`)
    assert.deepEqual(
      [after.status, JSON.parse(after.text)],
      [200, { role: 'replica' }],
      'it was answered here',
    )
  }
  await ask(`${onReplica.url}/after-slowly`)
  assert.equal(countOf(leader.db), rows, 'and not done again')
})

labTest('a request that cannot be replayed ends with its own error', async (lab) => {
  const { onReplica, leader } = await servedPair(lab, (app, db) => {
    const local = { config: { walcast: 'local' }, bodyLimit: 16_000_000 } as const
    app.addContentTypeParser('application/x-raw', (_request, _payload, done) => done(null))
    app.addContentTypeParser('text/csv', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    )
    app.post('/large', local, async (request) => {
      insert(db, String((request.body as Buffer).length))
      return {}
    })
    app.post('/raw', local, async (request) => {
      let bytes = 0
      for await (const chunk of request.raw) bytes += chunk.length
      insert(db, String(bytes))
      return { bytes }
    })
  })
  const post = (path: string, type: string, body: Buffer) =>
    ask(`${onReplica.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': type },
      body: new Uint8Array(body),
    })
  const large = await post('/large', 'text/csv', Buffer.alloc(8_000_000, 'x'))
  assert.equal(large.status, 500)
  assert.equal(JSON.parse(large.text).code, 'SQLITE_READONLY')
  const raw = await post('/raw', 'application/x-raw', Buffer.from('hello'))
  assert.equal(raw.status, 500)
  assert.equal(JSON.parse(raw.text).code, 'SQLITE_READONLY')
  assert.equal(countOf(leader.db), 0)
})

labTest('other hooks may change the body', async (lab) => {
  const { onReplica, leader } = await servedPair(
    lab,
    (app, db) => {
      app.post('/', async (request) => write(db, request))
      app.post('/here', { config: { walcast: 'local' } }, async (request) => ({
        body: request.body,
      }))
      app.post('/try', { config: { walcast: 'local' } }, (request) => write(db, request))
    },
    (app) => {
      app.addHook('preParsing', async (request, _reply, payload) => {
        if (request.headers['content-encoding'] !== 'gzip') return payload
        const chunks: Buffer[] = []
        for await (const chunk of payload) chunks.push(Buffer.from(chunk))
        const bytes = gunzipSync(Buffer.concat(chunks))
        delete request.headers['content-encoding']
        request.headers['content-length'] = String(bytes.length)
        return Readable.from([bytes], { objectMode: false })
      })
    },
  )
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
  const body = new Uint8Array(gzipSync(JSON.stringify({ a: 1 })))
  for (const path of ['/', '/here']) {
    const got = await ask(`${onReplica.url}${path}`, { method: 'POST', headers, body })
    assert.deepEqual([got.status, JSON.parse(got.text).body], [200, { a: 1 }], path)
  }
  const tried = await ask(`${onReplica.url}/try`, { method: 'POST', headers, body })
  assert.equal(
    tried.status,
    500,
    'its body was read by somebody else: it fails instead of being sent cut',
  )
  assert.equal(countOf(leader.db), 1)
})

labTest('routes made before the plugin, and in plugins, go the same way', async (lab) => {
  const pair = await embeddedPair(lab)
  const serveLate = async (node: typeof pair.leader.node, db: Database.Database) => {
    const app = Fastify()
    lab.atEnd(() => app.close())
    app.post('/early', async (request) => write(db, request))
    app.get('/early', async (request) => write(db, request))
    // Without await, as Fastify's documentation shows it.
    app.register(walcast, { node, handles: [db] })
    app.post('/late', async (request) => write(db, request))
    app.get('/late', async (request) => write(db, request))
    app.register(
      async (inner) => {
        inner.post('/in', async (request) => write(db, request))
        inner.get('/in', async (request) => write(db, request))
        inner.get('/config', { config: { walcast: 'leader' } }, async () => ({ role: node.role }))
        inner.setNotFoundHandler((_request, reply) => reply.code(404).send({ inner: true }))
      },
      { prefix: '/v1' },
    )
    return app.listen({ port: await freePort(), host: '127.0.0.1' })
  }
  await serveLate(pair.leader.node, pair.leader.db)
  const url = await serveLate(pair.replica.node, pair.replica.db)
  for (const path of ['/early', '/late', '/v1/in'])
    for (const init of [json({ a: 1 }), {}]) {
      const { status, text } = await ask(`${url}${path}`, init)
      assert.deepEqual([status, JSON.parse(text).role], [200, 'leader'], `${init.method} ${path}`)
    }
  assert.equal(JSON.parse((await ask(`${url}/v1/config`)).text).role, 'leader')
  for (const init of [{}, json({})]) {
    assert.equal((await ask(`${url}/nowhere`, init)).status, 404)
    assert.deepEqual(JSON.parse((await ask(`${url}/v1/nowhere`, init)).text), { inner: true })
  }
})

labTest('a standby answers 503 and runs nothing', async (lab) => {
  const leader = await embeddedLeader(lab)
  const standby = await embeddedReplica(lab, leader.node.status.leader, {
    standby: true,
    standbyPaths: ['/health'],
  })
  let ran = 0
  const { url } = await serve(lab, standby, (app) => {
    app.addHook('preHandler', async () => {
      ran++
    })
    app.get('/', async () => ({}))
    app.post('/', async () => ({}))
    app.get('/here', { config: { walcast: 'local' } }, async () => ({}))
    app.get('/health', { onRequest: async () => {} }, async () => ({ ok: true }))
  })
  for (const [path, init] of [
    ['/', {}],
    ['/', json({})],
    ['/here', {}],
    ['/nowhere', {}],
  ] as const) {
    const got = await ask(`${url}${path}`, init)
    // This leader has no public URL, and its private side is not for clients.
    const { detail, primary_url: primary } = JSON.parse(got.text)
    assert.deepEqual([got.status, typeof detail, primary], [503, 'string', null], path)
    assert.ok(got.headers.has('retry-after'))
    assert.ok(!got.headers.has('walcast-position'))
  }
  await delay(50)
  assert.equal(ran, 0)
  assert.equal((await ask(`${url}/health`)).status, 200)
  assert.equal(ran, 1)
})

/** What @fastify/cors does, shortened. */
const cors = fp(async (app: FastifyInstance) => {
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('access-control-allow-origin', '*')
    if (request.method === 'OPTIONS') return reply.code(204).send()
  })
  app.addHook('onSend', async (_request, reply, payload) => {
    void reply.header('x-seen', '1')
    return payload
  })
})

for (const isFirst of [true, false])
  labTest(`beside hooks of others, ${isFirst ? 'ahead of' : 'behind'} the plugin`, async (lab) => {
    const { onReplica } = await servedPair(
      lab,
      (app, db) => {
        if (!isFirst) app.register(cors)
        app.get('/', async () => ({ n: countOf(db) }))
        app.post('/', (request) => write(db, request))
        app.get('/cookies', async (_request, reply) => {
          void reply.header('set-cookie', 'a=1').header('set-cookie', 'b=2')
          return {}
        })
        app.get('/shared', async (_request, reply) => {
          void reply.header('cache-control', 'public, max-age=60')
          return {}
        })
      },
      (app) => {
        if (isFirst) app.register(cors)
      },
    )
    for (const init of [{}, json({ a: 1 })]) {
      const { status, headers } = await ask(onReplica.url, init)
      assert.equal(status, 200)
      assert.equal(headers.get('access-control-allow-origin'), '*')
      assert.equal(headers.get('x-seen'), '1', 'once')
      assert.equal(headers.getSetCookie().length, 1)
    }
    assert.equal((await ask(onReplica.url, { method: 'OPTIONS' })).status, 204)
    assert.equal((await ask(`${onReplica.url}/cookies`)).headers.getSetCookie().length, 3)
    assert.equal((await ask(`${onReplica.url}/shared`)).headers.getSetCookie().length, 0)
  })

labTest("error handlers of the application see the application's errors", async (lab) => {
  const seen: string[] = []
  const { onReplica, leader } = await servedPair(
    lab,
    (app, db) => {
      app.post('/', { schema: { body: { type: 'object', required: ['a'] } } }, (request) =>
        write(db, request),
      )
      app.get('/try', (request) => write(db, request))
      app.get('/fails', async () => {
        throw new Error('of the application')
      })
      app.get(
        '/',
        { schema: { querystring: { type: 'object', required: ['q'] } } },
        async () => ({}),
      )
      app.register(async (inner) => {
        inner.setErrorHandler((error, _request, reply) =>
          reply.code(503).send({ inner: String(error) }),
        )
        inner.get('/inner', (request) => write(db, request))
        inner.get('/inner-fails', async () => {
          throw new Error('inside')
        })
      })
    },
    (app) => {
      app.setErrorHandler((error, request, reply) => {
        const { code, statusCode } = Object(error)
        seen.push(`${request.server.walcast.role} ${code ?? Object(error).message}`)
        return reply.code(statusCode ?? Object(error).status ?? 500).send({ mine: true, code })
      })
    },
  )
  const mine = async (path: string, init: RequestInit = {}) => {
    const { status, text, headers } = await ask(`${onReplica.url}${path}`, init)
    return { status, body: JSON.parse(text), headers }
  }
  const invalid = await mine('/', json({ b: 1 }))
  assert.deepEqual(
    [invalid.status, invalid.body],
    [400, { mine: true, code: 'FST_ERR_VALIDATION' }],
  )
  assert.equal((await mine('/')).status, 400)
  assert.equal((await mine('/fails')).status, 500)
  const bad = await mine('/?q=1', { headers: { 'walcast-position': 'soon' } })
  assert.deepEqual([bad.status, bad.body.code], [400, 'WALCAST_BAD_REQUEST'])
  assert.deepEqual(seen.splice(0), [
    'leader FST_ERR_VALIDATION',
    'replica FST_ERR_VALIDATION',
    'replica of the application',
    'replica WALCAST_BAD_REQUEST',
  ])
  for (const path of ['/try', '/inner']) assert.equal((await mine(path)).body.role, 'leader')
  assert.deepEqual(seen, [], 'nothing failed for the application')
  assert.equal((await mine('/inner-fails')).status, 503)
  assert.equal(countOf(leader.db), 2)
})

labTest('a read that cannot be as fresh as asked says when to come back', async (lab) => {
  const { replica } = await embeddedPair(lab, { onStale: 'refuse', readWaitMs: 50 })
  const { url } = await serve(lab, replica, (app) => {
    app.get('/', async () => ({}))
  })
  const { epoch, txid } = replica.node.position
  const late = await ask(url, { headers: { 'walcast-position': `${epoch}-${txid + 100}` } })
  assert.equal(late.status, 503)
  assert.equal(JSON.parse(late.text).code, 'WALCAST_STALE_READ')
  assert.equal(late.headers.get('retry-after'), '1')
})

labTest('HEAD, streams, raw answers, empty answers and large ones', async (lab) => {
  const { onReplica } = await servedPair(lab, (app) => {
    for (const [place, prefix] of [
      ['local', '/here'],
      ['leader', '/there'],
    ] as const) {
      const config = { walcast: place }
      app.get(`${prefix}/head`, { config }, async () => ({ a: 1 }))
      app.get(`${prefix}/stream`, { config }, (_request, reply) =>
        reply.type('text/plain').send(Readable.from(['a', 'b', 'x'.repeat(300_000)])),
      )
      app.get(`${prefix}/raw`, { config }, (_request, reply) => {
        reply.hijack()
        reply.raw.writeHead(202, { 'x-raw': '1' })
        reply.raw.end('raw')
      })
      app.get(`${prefix}/raw-unannounced`, { config }, (_request, reply) => {
        reply.raw.end('raw')
      })
      app.get(`${prefix}/none`, { config }, async (_request, reply) => reply.code(204).send())
      app.get(`${prefix}/response`, { config }, async () => new Response('web', { status: 203 }))
      app.get(`${prefix}/moved`, { config }, async (_request, reply) => reply.redirect('/x'))
    }
  })
  for (const prefix of ['/here', '/there']) {
    const get = (path: string, init: RequestInit = {}) =>
      ask(`${onReplica.url}${prefix}${path}`, { redirect: 'manual', ...init })
    const head = await get('/head', { method: 'HEAD' })
    assert.deepEqual([head.status, head.text, head.headers.get('content-length')], [200, '', '7'])
    assert.match(head.headers.get('walcast-position') ?? '', /^\d+-\d+$/)
    const stream = await get('/stream')
    assert.equal(stream.text.length, 300_002)
    assert.match(stream.headers.get('walcast-position') ?? '', /^\d+-\d+$/)
    const raw = await get('/raw')
    assert.deepEqual([raw.status, raw.text, raw.headers.get('x-raw')], [202, 'raw', '1'])
    assert.equal((await get('/raw-unannounced')).text, 'raw')
    assert.equal((await get('/none')).status, 204)
    const web = await get('/response')
    assert.deepEqual([web.status, web.text], [203, 'web'])
    assert.equal((await get('/moved')).headers.get('location'), '/x')
  }
})

labTest('inject: reads here, writes and what turns out to write on the leader', async (lab) => {
  const { onReplica, onLeader, leader } = await servedPair(lab, (app, db) => {
    app.get('/', async (request) => ({ role: request.server.walcast.role, n: countOf(db) }))
    app.post('/', (request) => write(db, request))
    app.get('/try', (request) => write(db, request))
    app.post('/try', { config: { walcast: 'local' } }, (request) => write(db, request))
  })
  for (const { app } of [onReplica, onLeader]) {
    const made = await within('POST', app.inject({ method: 'POST', url: '/', payload: { a: 1 } }))
    assert.deepEqual([made.statusCode, made.json()], [200, { role: 'leader', body: { a: 1 } }])
    assert.match(String(made.headers['walcast-position']), /^\d+-\d+$/)
    assert.equal((await within('GET', app.inject('/try'))).json().role, 'leader')
    const tried = await within(
      'POST',
      app.inject({ method: 'POST', url: '/try', payload: { a: 2 } }),
    )
    assert.deepEqual(tried.json(), { role: 'leader', body: { a: 2 } })
  }
  const read = await until('it is applied', async () => {
    const { role, n } = (await onReplica.app.inject('/')).json()
    return n === 6 ? role : undefined
  })
  assert.equal(read, 'replica')
  assert.equal(countOf(leader.db), 6)
  assert.equal(
    (await within('404', onReplica.app.inject({ method: 'POST', url: '/x' }))).statusCode,
    404,
  )
})

labTest('a closing application answers what is under way, on both sides', async (lab) => {
  let arrived = 0
  const gates: (() => void)[] = []
  const pair = await servedPair(lab, (app, db) => {
    app.post('/slow', async (request) => {
      arrived++
      await new Promise<void>((resolve) => gates.push(resolve))
      return write(db, request)
    })
    app.get('/', async () => ({ n: countOf(db) }))
  })
  const { onReplica, onLeader, leader } = pair
  const first = ask(`${onReplica.url}/slow`, json({ a: 1 }))
  await until('it is under way', () => arrived === 1)
  const closedReplica = onReplica.app.close()
  await delay(50)
  gates[0]()
  const answered = await first
  assert.deepEqual([answered.status, JSON.parse(answered.text).role], [200, 'leader'])
  await within('the application of the replica closes', closedReplica, LESS_MS)

  const again = await serve(lab, pair.replica, (app) => {
    app.post('/slow', async () => ({}))
    app.post('/', async () => ({}))
  })
  const second = ask(`${again.url}/slow`, json({ a: 2 }))
  await until('it is under way', () => arrived === 2)
  const closedLeader = onLeader.app.close()
  await delay(50)
  gates[1]()
  assert.equal((await second).status, 200)
  await within('the application of the leader closes', closedLeader, LESS_MS)
  assert.equal(countOf(leader.db), 2)

  const held = ask(again.url, json({ a: 3 }))
  await delay(100)
  await serve(lab, leader, (app) => {
    app.post('/', async () => ({ from: 'the second application' }))
  })
  const { status, text } = await held
  assert.deepEqual(
    [status, JSON.parse(text)],
    [200, { from: 'the second application' }],
    'it waited for it',
  )
})

labTest('a node that is closed before its application leaves clear answers', async (lab) => {
  const { onReplica, onLeader, leader, replica } = await servedPair(lab, (app) => {
    app.get('/', async () => ({}))
    app.post('/', async () => ({}))
  })
  assert.equal((await ask(onReplica.url, json({}))).status, 200)
  await replica.node.close()
  assert.equal((await ask(onReplica.url)).status, 200)
  const post = await ask(onReplica.url, json({}))
  assert.equal(post.status, 503)
  assert.match(JSON.parse(post.text).code, /^WALCAST_/)
  await leader.node.close()
  assert.equal((await ask(onLeader.url, json({}))).status, 200, 'it has a database still')
  await onReplica.app.close()
  await onLeader.app.close()
})

labTest('a client that goes away while its request is forwarded', async (lab) => {
  let arrived = 0
  let open: () => void = () => {}
  const { onReplica, leader } = await servedPair(lab, (app, db) => {
    app.post('/slow', async (request) => {
      arrived++
      await new Promise<void>((resolve) => {
        open = resolve
      })
      return write(db, request)
    })
    app.post('/', (request) => write(db, request))
  })
  const gone = httpRequest(`${onReplica.url}/slow`, { method: 'POST' })
  gone.on('error', () => {})
  gone.end()
  await until('it is under way', () => arrived === 1)
  gone.destroy()
  await delay(50)
  open()
  await until('the leader went on', () => countOf(leader.db) === 1)
  assert.equal((await ask(onReplica.url, json({}))).status, 200)
})

labTest('mistakes in the use of the plugin are told at once', async (lab) => {
  const { leader, replica } = await embeddedPair(lab)
  const app = Fastify()
  lab.atEnd(() => app.close())
  await app.register(walcast, { node: leader.node })
  assert.throws(
    // As in a program without types.
    () => app.get('/', { config: Object({ walcast: 'Leader' }) }, async () => ({})),
    { code: 'WALCAST_USAGE' },
  )
  await assert.rejects(async () => app.register(walcast, { node: replica.node }), /walcast/)
  const foreign = Fastify()
  lab.atEnd(() => foreign.close())
  await assert.rejects(
    async () => foreign.register(walcast, { node: leader.node, handles: [{}] }),
    {
      code: 'WALCAST_FOREIGN_HANDLE',
    },
  )
  const nodeless = Fastify()
  await assert.rejects(async () => nodeless.register(walcast, Object({})), {
    code: 'WALCAST_USAGE',
  })
})

labTest('an Idempotency-Key is one key at the leader and at replicas', async (lab) => {
  const { onReplica, onLeader, leader } = await servedPair(lab, (app, db) => {
    app.post('/', (request) => write(db, request))
  })
  const keyed = (key: string) => {
    const { headers, ...rest } = json({ a: 1 })
    return { ...rest, headers: { ...headers, 'idempotency-key': key } }
  }
  for (const { url } of [onLeader, onReplica, onLeader]) {
    const { status, text } = await ask(url, keyed('one'))
    assert.deepEqual([status, JSON.parse(text)], [200, { role: 'leader', body: { a: 1 } }])
  }
  assert.equal(countOf(leader.db), 1)
  await ask(onLeader.url, keyed('two'))
  assert.equal(countOf(leader.db), 2)
})
