/** The list of all nodes, from what each of them tells. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClusterNode } from '../../src/api/clusterOverview.ts'
import { type ClusterSights, clusterNodes, type Heard } from '../../src/health/clusterNodes.ts'
import { type ToldStatus, toldStatus } from '../../src/health/toldStatus.ts'

const NOW_MS = Date.parse('2026-11-30T12:00:00Z')
const AGO = (ms: number) => new Date(NOW_MS - ms).toISOString()

function heard(node: string, more: Partial<ToldStatus> = {}, agoMs = 0): Heard {
  const status = toldStatus({ node, role: 'replica', epoch: 2, txid: 40, state: 'streaming' })
  assert.ok(status)
  return {
    status: { ...status, connected: true, leader: 'a', ...more },
    address: `10.0.0.1:${node.charCodeAt(0)}`,
    atMs: NOW_MS - agoMs,
  }
}

const LEADS = { role: 'leader', state: 'capturing', txid: 42, leader: '10.0.0.1:97' } as const
const heardReplica = (node: string, agoMs: number, connected: boolean) => ({
  ...{ node, address: '10.0.0.9:1', epoch: 2, txid: 41, lagMs: 9, connected },
  ...{ state: connected ? 'streaming' : 'away', seenMs: NOW_MS - agoMs },
})

function listed(sights: Partial<ClusterSights>) {
  return clusterNodes({
    own: heard('a', LEADS),
    answers: new Map(),
    remembered: new Map(),
    failed: new Map(),
    members: [],
    leaderSeen: undefined,
    nowMs: NOW_MS,
    isRemoved: () => false,
    ...sights,
  })
}

function row(sights: Partial<ClusterSights>, node: string): ClusterNode {
  const found = listed(sights).nodes.find((each) => each.node === node)
  assert.ok(found)
  return found
}

const member = (node: string) => ({ node, address: `10.0.0.1:${node.charCodeAt(0)}` })
const answering = (...all: readonly Heard[]) => new Map(all.map((each) => [each.status.node, each]))

test('the leader comes first, the others by id, addresses without a node last', () => {
  const { nodes, leader, epoch } = listed({
    own: heard('c'),
    answers: answering(heard('b'), heard('z', LEADS)),
    failed: new Map([['10.9.9.9:1', 'refused']]),
  })
  assert.deepEqual(
    nodes.map(({ node }) => node),
    ['z', 'b', 'c', ''],
  )
  assert.deepEqual([leader, epoch, nodes[3].address], ['z', 2, '10.9.9.9:1'])
})

test('a node that does not answer is away since it was last heard of', () => {
  const sights = {
    members: [member('b')],
    failed: new Map([['10.0.0.1:98', 'refused']]),
    remembered: answering(heard('b', { version: '1.0', txid: 30, ack: 'one' }, 60_000)),
  }
  const { isReachable, state, awaySince, position, ageMs, ...b } = row(sights, 'b')
  assert.deepEqual([isReachable, state, awaySince], [false, 'away', AGO(60_000)])
  assert.deepEqual([position, ageMs, b.behindTxids, b.lagMs], ['2-30', 60_000, 12, null])
  assert.deepEqual([b.role, b.version, b.ack, b.address], ['replica', '1.0', 'one', '10.0.0.1:98'])
  assert.match(b.causes[0].text, /does not answer a at 10.0.0.1:98: refused/)

  const later = heard('a', { ...LEADS, replicas: [heardReplica('b', 20_000, false)] })
  const told = row({ ...sights, own: later }, 'b')
  assert.deepEqual([told.awaySince, told.position, told.lagMs], [AGO(20_000), '2-41', 9])
})

test('one that another node still hears is not away', () => {
  const own = heard('a', { ...LEADS, replicas: [heardReplica('b', 900, true)] })
  const b = row({ own, members: [member('b')], failed: new Map([['10.0.0.1:98', 'late']]) }, 'b')
  assert.deepEqual([b.isReachable, b.awaySince, b.state, b.ageMs], [false, null, 'streaming', 900])
  assert.match(b.causes[0].text, /another node still hears it/)
  // Of two words on one node the one that hears it now counts, then the later one.
  const gone = heard('c', { replicas: [heardReplica('b', 100, false)] })
  assert.equal(row({ own, answers: answering(gone) }, 'b').state, 'streaming')
})

test('a dead leader is known from what its replicas heard of it', () => {
  const sights = {
    own: heard('b', { connected: false, txid: 41, leader: 'a' }),
    members: [member('a')],
    failed: new Map([['10.0.0.1:97', 'refused']]),
    leaderSeen: { epoch: 2, txid: 44, address: '10.0.0.1:97', atMs: NOW_MS - 3000 },
  }
  const a = row(sights, 'a')
  assert.deepEqual([a.role, a.state, a.position], ['leader', 'away', '2-44'])
  assert.equal(a.awaySince, AGO(3000))
  assert.equal(listed(sights).leader, null)
  assert.equal(row(sights, 'b').behindTxids, 3)
  // Another node still follows it: only this one does not reach it.
  const others = { ...sights, answers: answering(heard('c', { leader: 'a' })) }
  assert.equal(listed(others).leader, 'a')
  assert.equal(
    row({ ...others, answers: answering(heard('c', { leader: 'x' })) }, 'a').role,
    'leader',
  )
})

test('of two that lead, the later epoch counts; the other one says so', () => {
  const sights = { answers: answering(heard('b', { ...LEADS, epoch: 3 })) }
  assert.deepEqual([listed(sights).leader, listed(sights).epoch], ['b', 3])
  assert.match(row(sights, 'a').causes[0].text, /leads in epoch 2, while b is the leader/)
  assert.deepEqual(row(sights, 'b').causes, [])
  const replaced = {
    answers: answering(heard('b', { ...LEADS, epoch: 3 })),
    own: heard('c', { leader: 'b', epoch: 3 }),
    members: [member('a')],
    remembered: answering(heard('a', LEADS, 9000)),
  }
  assert.equal(row(replaced, 'a').role, null, 'it is the leader no more')
})

test('removed nodes are left out', () => {
  const own = heard('a', { ...LEADS, replicas: [heardReplica('b', 100, false)] })
  const isRemoved = (node: string) => node === 'b'
  assert.deepEqual(
    listed({ own, members: [member('b')], isRemoved }).nodes.map(({ node }) => node),
    ['a'],
  )
})

test('what another node tells is checked, bounded and cleaned', () => {
  const whole = { node: 'b', role: 'replica', epoch: 1, txid: 2 }
  for (const wrong of [
    ...[{ node: 'a b' }, { node: 5 }, { role: 'king' }, { epoch: -1 }, { txid: 2 ** 53 }],
    ...[{ epoch: '1' }, { txid: null }],
  ])
    assert.equal(toldStatus({ ...whole, ...wrong }), undefined, JSON.stringify(wrong))
  assert.equal(toldStatus(null), undefined)
  const told = toldStatus({
    ...whole,
    state: '\u001b[2Jbad',
    lag: { lagMs: -5, txidLag: 'x', connected: 1 },
    causes: Array.from({ length: 100 }, () => ({ code: 'c', text: 'x'.repeat(9000) })),
    replicas: [null, { node: 'c', lastSeen: 'never' }, { node: 'd', lastSeen: AGO(1), txid: 'z' }],
    backup: {
      places: [
        { restorableUntil: { position: '1-1', at: AGO(900) } },
        { restorableUntil: { position: '1-2', at: AGO(100) } },
        {},
        { restorableUntil: { position: '1-3', at: 'never' } },
      ],
    },
  })
  assert.equal(told?.state, '[2Jbad')
  assert.deepEqual([told.lagMs, told.txidLag, told.connected], [0, 0, false])
  assert.deepEqual([told.causes.length, told.causes[0].text.length], [16, 500])
  assert.deepEqual(
    told.replicas.map(({ node, txid }) => [node, txid]),
    [['d', null]],
  )
  assert.deepEqual(told.restorableUntil, { position: '1-2', at: AGO(100) })
})
