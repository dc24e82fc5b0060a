/** How a node asks all others: once for many askers, within limits, and believing only proof. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeStatus } from '../../src/api/nodeStatus.ts'
import { PeerReads } from '../../src/cluster/peerReads.ts'
import { ClusterOverview } from '../../src/health/clusterOverview.ts'
import { type FakeRequest, fakeNode } from '../support/fakeNode.ts'
import { callsOf } from '../support/peers.ts'
import { rawServer } from '../support/rawServer.ts'

const SECRET = 'correct horse battery staple'

function statusOf(node: string, role: string): NodeStatus {
  const status = { node, role, cluster: 'c', epoch: 1, txid: 5, state: 'fine', replicas: [] }
  return status as unknown as NodeStatus
}

function overviewAt(addresses: () => readonly string[], ...secrets: readonly string[]) {
  return new ClusterOverview({
    database: 'main',
    address: '127.0.0.1:1',
    peerTimeoutMs: 3000,
    givenLeader: undefined,
    report: { status: () => statusOf('node-a', 'leader') },
    pause: { now: undefined },
    view: {
      role: () => 'leader',
      leaderAddress: () => '',
      leaderAt: () => ({ epoch: 1, txid: 5, agoMs: 0 }),
    },
    reads: new PeerReads(callsOf('node-a', ...secrets)),
    claims: { refuse: () => undefined },
    members: () => [],
    addresses,
    isRemoved: () => false,
    nowMs: () => Date.now(),
  })
}

/** Answers of a node: who it is, and its status. */
function answerOf(node: string, cluster = 'c') {
  return ({ path }: FakeRequest) => {
    const place = { ready: true, term: 1, address: '10.0.0.2:1', timeMs: Date.now() }
    return { body: { ...statusOf(node, 'replica'), cluster, ...(path === '/leader' && place) } }
  }
}

const pathsOf = (requests: readonly FakeRequest[]) => requests.map(({ path }) => path)

test('many askers cost one round, and a node that came since is asked at once', async (t) => {
  const b = await fakeNode(t, answerOf('node-b'))
  const c = await fakeNode(t, answerOf('node-c'))
  const addresses = [b.address]
  const overview = overviewAt(() => addresses)
  const answers = await Promise.all(Array.from({ length: 20 }, () => overview.answer()))
  for (const { asked, nodes, leader } of answers)
    assert.deepEqual(
      [asked, leader, ...nodes.map(({ node }) => node)],
      [...['node-a', 'node-a', 'node-a', 'node-b']],
    )
  await overview.answer()
  assert.deepEqual(pathsOf(b.requests), ['/_walcast/status'])
  addresses.push(c.address)
  const [, , row] = (await overview.answer()).nodes
  assert.deepEqual([row.node, row.address, row.isReachable], ['node-c', c.address, true])
})

test('a question is signed for its receiver, and an answer has to be proven', async (t) => {
  const b = await fakeNode(t, answerOf('node-b'), { secret: SECRET, node: 'node-b' })
  const liar = await fakeNode(t, answerOf('node-c'), { secret: SECRET, node: 'node-z' })
  const stranger = await fakeNode(t, answerOf('node-d'))
  const addresses = [b.address, liar.address, stranger.address]
  const overview = overviewAt(() => addresses, SECRET)
  const { nodes } = await overview.answer()
  assert.deepEqual(
    nodes.map(({ node, address, isReachable }) => [node, address, isReachable]),
    [
      ['node-a', '127.0.0.1:1', true],
      ['node-b', b.address, true],
      ...[liar.address, stranger.address].sort().map((address) => ['', address, false]),
    ],
  )
  assert.deepEqual(
    pathsOf(stranger.requests).filter((path) => path.includes('status')),
    [],
  )
  assert.equal(b.requests[1].signature?.includes('node-b'), true)
  // The clock of a node is asked for once: the next read is one request.
  addresses.push('127.0.0.1:2')
  await overview.answer()
  assert.deepEqual(pathsOf(b.requests), ['/leader', '/_walcast/status', '/_walcast/status'])
})

test('a node that hangs or belongs elsewhere holds nothing up and is told', async (t) => {
  const silent = await rawServer(t, () => {})
  const other = await fakeNode(t, answerOf('node-x', 'another'))
  const b = await fakeNode(t, answerOf('node-b'))
  const { nodes } = await overviewAt(() => [silent.address, other.address, b.address]).answer()
  const textAt = (address: string) =>
    nodes.find((each) => each.address === address)?.causes.map(({ text }) => text)
  assert.match(textAt(silent.address)?.[0] ?? '', /no node answers at/)
  assert.match(textAt(other.address)?.[0] ?? '', /node node-x of another cluster is there/)
  assert.deepEqual(textAt(b.address), [])
})
