/** WebSockets of applications, through the proxies of both nodes, while leadership moves. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { type Lab, labTest } from '../support/lab.ts'
import { demote, promote, switchover } from '../support/leadership.ts'
import type { Echo } from '../support/programs/echoApp.ts'
import type { TestNode } from '../support/testNode.ts'
import { ask, RawHttp, SECRET, startTraffic, telling } from '../support/trafficLab.ts'
import { until, within } from '../support/until.ts'

/** Paths for the leader's application; all others are for that of the node. */
const LIVE = '/live'

class Client {
  readonly #socket: WebSocket
  readonly #greeting: Promise<string>
  #count = 0

  constructor(lab: Lab, port: number, path: string) {
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}${path}`)
    lab.atEnd(() => this.#socket.terminate())
    // Data that arrives with the answer would be lost before a waiting caller listens.
    this.#greeting = new Promise((resolve, reject) => {
      this.#socket.once('message', (data) => resolve((JSON.parse(String(data)) as Echo).app))
      this.#socket.once('unexpected-response', (_request, answer) =>
        reject(new Error(`${path} at ${port}: ${answer.statusCode}`)),
      )
      this.#socket.on('error', reject)
    })
    this.#greeting.catch(() => {})
  }

  /** The application that accepted it. */
  app(): Promise<string> {
    return within('an upgrade is answered', this.#greeting)
  }

  /** The application answers on it. */
  async requireAlive(): Promise<void> {
    const text = `message ${++this.#count}`
    const answer = once(this.#socket, 'message')
    this.#socket.send(text)
    const [data] = await within(`an answer to ${text}`, answer)
    assert.equal(String(data), text)
  }
}

/** Writes wait at this node: a switchover is running. */
async function waitHolding(node: TestNode): Promise<void> {
  await until('writes are held', async () => (await node.get('/leader')).status === 503)
}

labTest('WebSockets survive a switchover, and new ones reach the right node', async (lab) => {
  const environment = {
    WALCAST_SECRET: SECRET,
    WALCAST_HOLD: '30s',
    WALCAST_FORWARD: LIVE,
    WALCAST_SWITCHOVER_TIMEOUT: '20s',
  }
  const traffic = await startTraffic(lab, { environment, asNode: true })
  const { leader, replica, atLeader, atReplica, leaderApp } = traffic
  /** One for each proxy and kind of path, in this order. */
  const open = () =>
    [atLeader, atReplica].flatMap((port) =>
      [LIVE, '/own'].map((path) => new Client(lab, port, path)),
    )
  const appsOf = (clients: readonly Client[]) => Promise.all(clients.map((client) => client.app()))

  const before = open()
  assert.deepEqual(await appsOf(before), ['leader', 'leader', 'leader', 'replica'])

  // A write that does not end stops the switchover at the stage where new writes wait.
  const write = ask(atLeader, { method: 'POST', path: '/write', answer: { waits: true } })
  await until('it is inside', async () => (await leaderApp.state()).waiting === 1)
  const moved = switchover(leader)
  await waitHolding(leader)
  const during = open()
  const held = ask(atLeader, { method: 'POST', path: '/held' })
  const [, own, , ownOfReplica] = during
  assert.deepEqual(await appsOf([own, ownOfReplica]), ['leader', 'replica'])
  for (const client of [...before, own]) await client.requireAlive()
  await leaderApp.go()
  assert.equal((await write).status, 200)
  await moved
  assert.equal((await held).status, 200)
  assert.deepEqual(await appsOf(during), ['replica', 'leader', 'replica', 'replica'])

  const after = open()
  assert.deepEqual(await appsOf(after), ['replica', 'leader', 'replica', 'replica'])
  for (const client of [...before, ...during, ...after]) await client.requireAlive()

  // There is no leader: they wait for the next one.
  await demote(replica)
  const waiting = open()
  await promote(leader)
  assert.deepEqual(await appsOf(waiting), ['leader', 'leader', 'leader', 'replica'])
  for (const client of [...before, ...during, ...waiting]) await client.requireAlive()
})

labTest('an upgrade waits for the requests before it', async (lab) => {
  const { atLeader, leaderApp } = await startTraffic(lab)
  const waits = telling({ waits: true, body: 'first' })
  for (const [protocol, answer] of [
    ['h2c', 'HTTP/1.1 200 OK'],
    ['other', 'HTTP/1.1 426 Upgrade Required'],
  ]) {
    const raw = await RawHttp.open(lab, atLeader)
    raw.write(
      `GET /first HTTP/1.1\r\nHost: a\r\nX-Answer: ${waits}\r\n\r\n` +
        `GET /second HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`,
    )
    await leaderApp.go()
    await until(`the answer to ${protocol} comes last`, (saw) => {
      saw(raw.text)
      return raw.text.split('first').at(-1)?.includes(answer)
    })
    assert.match(raw.text, /^HTTP\/1\.1 200 OK\r\n/)
  }
})
