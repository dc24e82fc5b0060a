/** A forwarded request that broke off is sent again only if the leader recognises it. */
import assert from 'node:assert/strict'
import { createServer, request } from 'node:http'
import { type AddressInfo, createServer as createRawServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { PositionWaits } from '../../src/api/positionWaits.ts'
import { sendFailure } from '../../src/proxy/answer.ts'
import { Client } from '../../src/proxy/client.ts'
import { Forwarder } from '../../src/proxy/forwarder.ts'
import { Gate } from '../../src/proxy/gate.ts'
import { PositionCookie } from '../../src/proxy/positionCookie.ts'
import { Bodies } from '../../src/proxy/replayableBody.ts'
import { Claims } from '../../src/security/claims.ts'
import { within } from '../support/until.ts'

const FIRST = '00000000000000a1'
const SECOND = '00000000000000a2'

/**
 * A replica's proxy before a leader that answers its n-th connection with `answers[n]`; '' cuts it.
 */
async function setUp(context: TestContext, answers: readonly string[], holdMs = 2000) {
  const seen: string[] = []
  const leader = createRawServer((socket) => {
    let text = ''
    let isTaken = false
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      if (
        isTaken ||
        !/\r\n\r\n(.*abc|$)/s.test(text) ||
        (text.includes('content-length: 3') && !text.endsWith('abc'))
      )
        return
      isTaken = true
      node.onRequest()
      const answer = answers[seen.push(text) - 1] ?? ''
      if (answer === '') socket.resetAndDestroy()
      else socket.end(answer)
    })
  })
  await new Promise<void>((resolve) => leader.listen(0, '127.0.0.1', resolve))
  const gate = new Gate({ maxHeld: 10, probeMs: 5 }, async () => {
    node.onProbe()
    return node.canProbe
  })
  const node = {
    isLeading: false,
    canProbe: true,
    incarnation: FIRST,
    onRequest: () => {},
    onProbe: () => {},
    onClient: (_client: Client) => {},
  }
  const forwarder = new Forwarder(
    {
      leader: `127.0.0.1:${(leader.address() as AddressInfo).port}`,
      holdMs,
      writeWaitMs: 50,
      maxConnections: 10,
      answerTimeoutMs: 60_000,
    },
    {
      isLeading: () => node.isLeading,
      gate,
      waits: new PositionWaits(10, () => 'reached'),
      cookie: new PositionCookie('p', () => 'c'),
      claims: new Claims(() => ({ epoch: 1, txid: 1 })),
      leaderIncarnation: () => node.incarnation,
      sign: () => 'token',
      dial: undefined,
      onForwarded() {},
      onHeld() {},
      onUnknown() {},
      onApplied() {},
    },
  )
  const bodies = new Bodies(1000, 10_000)
  const front = createServer(async (incoming, response) => {
    const client = new Client(incoming, response)
    node.onClient(client)
    await forwarder
      .forward(client, bodies.of(client), true)
      .then((outcome) => outcome === 'lead' && response.end('here'))
      .catch((error) => sendFailure(response, error, () => {}))
  })
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
  context.after(async () => {
    front.closeAllConnections()
    front.close()
    leader.close()
    await forwarder.close()
  })
  const send = (method: string, headers: Record<string, string>, body = 'abc') =>
    within(
      'an answer',
      new Promise<{ status: number; text: string }>((resolve, reject) => {
        const { port } = front.address() as AddressInfo
        const outgoing = request(
          { port, host: '127.0.0.1', method, agent: false, headers },
          (answer) => {
            let text = ''
            answer.on('data', (chunk) => {
              text += chunk
            })
            answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
            answer.on('error', reject)
          },
        )
        outgoing.on('error', reject)
        outgoing.end(method === 'GET' ? undefined : body)
      }),
    )
  return { seen, send, bodies, node, forwarder, gate }
}

const OK = 'HTTP/1.1 200 OK\r\nwalcast-position: 1-2\r\ncontent-length: 2\r\n\r\nok'
const REFUSED = 'HTTP/1.1 421 No\r\nwalcast-not-executed: NOT_LEADER\r\ncontent-length: 0\r\n\r\n'

const OTHER =
  'HTTP/1.1 503 No\r\nwalcast-not-executed: OTHER_INCARNATION\r\ncontent-length: 0\r\n\r\n'

const meantFor = (text: string) => /\r\nwalcast-incarnation: (\w*)\r\n/.exec(text)?.[1]
const firstOf = (text: string) =>
  /\r\nwalcast-first-attempt: (?<incarnation>\w+); agoMs=(?<agoMs>\d+)\r\n/.exec(text)?.groups

test('a request without a key is sent once', async (context) => {
  const { seen, send } = await setUp(context, ['', OK])
  assert.equal((await send('POST', {})).status, 502)
  assert.equal(seen.length, 1)
})

test('with a key it is sent again, and tells when and where it was sent first', async (context) => {
  const { seen, send, bodies } = await setUp(context, ['', '', OK])
  assert.deepEqual(await send('POST', { 'idempotency-key': 'k' }), { status: 200, text: 'ok' })
  assert.equal(seen.length, 3)
  for (const text of seen) assert.match(text, /idempotency-key: k\r\n/)
  for (const text of seen) assert.equal(meantFor(text), FIRST)
  const [none, ...sent] = seen.map(firstOf)
  assert.equal(none, undefined)
  const [second, third] = sent.map((first) => Number(first?.['agoMs']))
  assert.ok(second > 0 && second <= third && third < 100_000, `${second}, ${third}`)
  assert.deepEqual(
    sent.map((first) => first?.['incarnation']),
    [FIRST, FIRST],
  )
  assert.ok(seen.every((text) => /abc/.test(text)))
  assert.equal(bodies.keptBytes, 0)
})

test('a key that the leader does not accept makes no request repeatable', async (context) => {
  for (const [method, headers] of [
    ['POST', { 'idempotency-key': '' }],
    // The leader keeps no answers to methods that only read.
    ['GET', { 'idempotency-key': 'k' }],
  ] as const) {
    const { seen, send } = await setUp(context, ['', OK])
    assert.equal((await send(method, { ...headers })).status, 502, method)
    assert.equal(seen.length, 1, `${method} would have been executed twice`)
  }
})

test('a key that the client declares to be of one hop reaches the leader', async (context) => {
  const { seen, send } = await setUp(context, ['', OK])
  await send('POST', { 'idempotency-key': 'k', connection: 'close, idempotency-key' })
  assert.equal(seen.length, 2)
  for (const text of seen) assert.match(text, /idempotency-key: k\r\n/)
})

test('a request that the leader did not execute is sent again with its body', async (context) => {
  const { seen, send } = await setUp(context, [REFUSED, OK])
  assert.equal((await send('POST', {})).status, 200)
  assert.deepEqual(
    seen.map((text) => /abc/.test(text)),
    [true, true],
  )
})

test('a body too large to be kept is not sent again in part', async (context) => {
  const { seen, send } = await setUp(context, [REFUSED, OK])
  assert.equal((await send('POST', {}, `${'x'.repeat(5000)}abc`)).status, 503)
  assert.equal(seen.length, 1)
})

test('a refusal of the old leader does not hold requests at the new one', async (context) => {
  const { seen, send, node, gate } = await setUp(context, [REFUSED])
  // The old leader's refusal is on its way when this node comes to lead.
  node.onRequest = () => {
    node.isLeading = true
    node.canProbe = false
    gate.open()
  }
  assert.deepEqual(await send('POST', {}), { status: 200, text: 'here' })
  assert.deepEqual([seen.length, gate.isOpen], [1, true])
})

test('a request that another leader may have executed is not executed here', async (context) => {
  const { seen, send, node } = await setUp(context, [''])
  node.onRequest = () => {
    node.isLeading = true
  }
  assert.equal((await send('POST', { 'idempotency-key': 'k' })).status, 502)
  assert.equal(seen.length, 1)
})

test('a later attempt names the leadership that the first one was sent to', async (context) => {
  const { seen, send, node } = await setUp(context, ['', OTHER, '', OK])
  node.onRequest = () => {
    // The refusal causes a probe, which tells it.
    node.onProbe = () => {
      node.incarnation = SECOND
    }
  }
  assert.equal((await send('POST', { 'idempotency-key': 'k' })).status, 200)
  assert.deepEqual(seen.map(meantFor), [FIRST, FIRST, SECOND, SECOND])
  assert.deepEqual(
    seen.map((text) => firstOf(text)?.['incarnation']),
    [undefined, FIRST, FIRST, FIRST],
  )
})

test('an attempt that was refused does not count as the first', async (context) => {
  const { seen, send, node } = await setUp(context, [OTHER, '', OK])
  node.onProbe = () => {
    node.incarnation = SECOND
  }
  assert.equal((await send('POST', { 'idempotency-key': 'k' })).status, 200)
  assert.deepEqual(seen.map(meantFor), [FIRST, SECOND, SECOND])
  assert.deepEqual(
    seen.map((text) => firstOf(text)?.['incarnation']),
    [undefined, undefined, SECOND],
  )
})

test("a request waits while the leader's incarnation is not known", async (context) => {
  const { seen, send, node } = await setUp(context, [OK])
  let probes = 0
  node.incarnation = ''
  node.onProbe = () => {
    if (++probes === 3) node.incarnation = FIRST
  }
  assert.equal((await send('POST', {})).status, 200)
  assert.deepEqual(seen.map(meantFor), [FIRST])
})

test('a leader that never tells its incarnation counts as away after --hold', async (context) => {
  const { seen, send, node } = await setUp(context, [])
  node.incarnation = ''
  const { status, text } = await send('POST', {})
  assert.equal(status, 503)
  assert.match(text, /WALCAST_LEADER_AWAY.*incarnation/)
  assert.equal(seen.length, 0)
})

test('a refusal that is older than news of the leader closes nothing', async (context) => {
  const { seen, send, node, gate } = await setUp(context, [OTHER, OK])
  node.canProbe = false
  node.onRequest = () => {
    node.incarnation = SECOND
  }
  assert.equal((await send('POST', {})).status, 200)
  assert.deepEqual(seen.map(meantFor), [FIRST, SECOND])
  assert.equal(gate.isOpen, true)
})

const holdOf = (text: string) => Number(/\r\nwalcast-hold: (\d+)\r\n/.exec(text)?.[1])

test("a client's waits in several places count together against --hold", async (context) => {
  const { seen, send, node, gate } = await setUp(context, [OK], 3_600_000)
  node.canProbe = false
  gate.close('it is gone')
  node.onClient = (client) => void client.heldUntilMs(0)
  assert.equal((await send('POST', {})).status, 503)
  gate.open()
  assert.equal((await send('POST', {})).status, 200, 'a leader that is there is asked')
  assert.deepEqual(seen.map(holdOf), [1], 'and does not keep it')
})

const UNTAKEN =
  'HTTP/1.1 503 No\r\nwalcast-not-executed: APP_UNREACHABLE\r\ncontent-length: 0\r\n\r\n'

test('a refusal of the last attempt says nothing of the first', async (context) => {
  const holdMs = 300
  for (const [answers, headers, status] of [
    [[UNTAKEN], {}, '503 '],
    [['', UNTAKEN], { 'idempotency-key': 'k' }, '502 OUTCOME_UNKNOWN'],
  ] as const) {
    const { seen, send, node } = await setUp(context, answers, holdMs)
    // The leader keeps the last one as long as it may: nothing moves in this process meanwhile.
    node.onRequest = () => {
      if (seen.length + 1 < answers.length) return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, holdMs * 1.5)
    }
    const got = await send('POST', headers)
    assert.equal(`${got.status} ${/WALCAST_(\w+)/.exec(got.text)?.[1] ?? ''}`, status)
    assert.equal(seen.length, answers.length)
  }
})
