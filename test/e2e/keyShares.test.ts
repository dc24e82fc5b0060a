/** Keys of one client do not harm another: broken uploads, and keys that are used once. */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { labTest } from '../support/lab.ts'
import { RawHttp, requireQuiet, SECRET, startTraffic, type Traffic } from '../support/trafficLab.ts'
import { until, within } from '../support/until.ts'

/** POSTs with a key, from an address of this machine. */
function pay(port: number, key: string, localAddress = '127.0.0.1', body = 'abc'): Promise<string> {
  const answer = new Promise<string>((resolve, reject) => {
    const headers = { 'idempotency-key': key, 'content-length': String(body.length) }
    const options = {
      port,
      host: '127.0.0.1',
      localAddress,
      method: 'POST',
      path: `/${key}`,
      headers,
      agent: false,
    }
    const sent = request(options, (got) => {
      got.resume()
      got.on('error', reject)
      got.on('end', () => resolve(String(got.statusCode)))
    })
    sent.on('error', reject)
    sent.end(body)
  })
  return within(`an answer to ${key}`, answer)
}

/** From many addresses at once, as a client with its own network does. */
async function throwAway(port: number, count: number, from: number): Promise<void> {
  for (let at = 0; at < count; at += 20)
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        pay(port, `thrown-${from}-${at + i}`, `127.0.0.${from}`),
      ),
    )
}

async function answersLeft({ leader }: Traffic): Promise<number> {
  return leader.metric('walcast_answers_remembered')
}

labTest('a broken upload leaves its key free, at the leader and through a replica', async (lab) => {
  const traffic = await startTraffic(lab)
  for (const [where, port] of Object.entries({
    leader: traffic.atLeader,
    replica: traffic.atReplica,
  })) {
    const head = `POST /${where} HTTP/1.1\r\nhost: a\r\nidempotency-key: ${where}\r\n`
    for (const part of [
      'content-length: 3\r\n\r\na',
      'transfer-encoding: chunked\r\n\r\n1\r\na\r\n',
    ]) {
      const raw = await RawHttp.open(lab, port)
      raw.write(`${head}${part}`)
      await until(
        'it is under way',
        async () => (await traffic.leader.metric('walcast_writes_inside')) === 1,
      )
      raw.socket.destroy()
      await until(
        'it is over',
        async () => (await traffic.leader.metric('walcast_writes_inside')) === 0,
      )
    }
    assert.equal(await pay(port, where), '200')
    assert.equal(await traffic.leaderApp.count('POST', `/${where}`), 1)
  }
  await requireQuiet(traffic)
})

labTest('thousands of throwaway keys push out only keys of the same client', async (lab) => {
  const traffic = await startTraffic(lab, {
    environment: { WALCAST_SECRET: SECRET, WALCAST_MAX_ANSWERS: '60' },
  })
  const { atLeader, atReplica } = traffic
  for (const [key, port] of [
    ['mine-there', atLeader],
    ['mine-here', atReplica],
  ] as const)
    assert.equal(await pay(port, key), '200')
  await throwAway(atLeader, 200, 2)
  await throwAway(atReplica, 200, 3)
  assert.equal(await answersLeft(traffic), 60)
  assert.equal(await traffic.leader.metric('walcast_answers_pushed_out_total', 'why="number"'), 342)
  for (const key of ['mine-there', 'mine-here'])
    for (const port of [atLeader, atReplica]) {
      assert.equal(await pay(port, key), '200')
      assert.equal(await traffic.leaderApp.count('POST', `/${key}`), 1, `${key} was executed again`)
    }
})

labTest('--answers-size counts heads, keys and bookkeeping', async (lab) => {
  const traffic = await startTraffic(lab, {
    environment: { WALCAST_SECRET: SECRET, WALCAST_ANSWERS_SIZE: '20KiB' },
  })
  await throwAway(traffic.atLeader, 40, 2)
  assert.ok((await answersLeft(traffic)) < 20)
  assert.ok((await traffic.leader.metric('walcast_answers_bytes')) <= 20 * 1024)
  assert.ok((await traffic.leader.metric('walcast_answers_pushed_out_total', 'why="size"')) > 20)
})
