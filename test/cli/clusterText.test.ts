/** The table of all nodes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import type { ClusterAnswer, ClusterNode } from '../../src/api/clusterOverview.ts'
import { CLUSTER } from '../../src/cli/clusterShape.ts'
import { clusterText } from '../../src/cli/clusterText.ts'
import { displayWidth } from '../../src/cli/displayWidth.ts'
import { WHOLE } from '../../src/cli/shape.ts'
import { FULL_LOOK, type Look } from '../../src/cli/terminalLook.ts'

const NOW_MS = Date.parse('2026-11-30T12:00:00Z')
const LOOK: Look = {
  ...{ columns: 80, textColumns: 80, isWide: false, hasColours: false, nowMs: NOW_MS },
}
const LEADER: ClusterNode = {
  ...{ node: 'node-1234567890ab', address: '10.0.0.1:8470', role: 'leader', state: 'capturing' },
  ...{ position: '4-120398', lagMs: 0, behindTxids: 0, ageMs: 2, version: '0.1.0' },
  ...{ isReachable: true, awaySince: null, causes: [], ack: 'one', roleSince: null, bundles: 0 },
  restorableUntil: { position: '4-120390', at: '2026-11-30T11:59:58.000Z' },
}
const REPLICA: ClusterNode = {
  ...LEADER,
  ...{ node: 'node-abcdef012345', address: '10.0.0.2:8470', role: 'replica' },
  ...{ state: 'streaming', lagMs: 3.5, behindTxids: 2, restorableUntil: null },
}
const AWAY: ClusterNode = {
  ...REPLICA,
  ...{ node: 'node-00000000ffff', state: 'away', isReachable: false, lagMs: null, ageMs: 90_000 },
  ...{ awaySince: '2026-11-30T11:58:30.000Z', behindTxids: null },
  causes: [
    { code: 'no-answer', text: 'it does not answer at 10.0.0.3:8470' },
    { code: 'other', text: 'x' },
  ],
}
const ANSWER: ClusterAnswer = {
  ...{ asked: REPLICA.node, cluster: 'cluster-1', database: 'main', leader: LEADER.node, epoch: 4 },
  nodes: [LEADER, REPLICA, AWAY],
}

test('one table of all nodes, and the causes in full below it', () => {
  assert.equal(CLUSTER(ANSWER, WHOLE), undefined)
  assert.equal(
    clusterText(ANSWER, LOOK),
    `cluster  cluster-1, database main, epoch 4
leader   node-1234567890ab
asked    node-abcdef012345 (*)

node                 role     state      position      lag  version  cause
node-1234567890ab    leader   capturing  4-120398        -  0.1.0
node-abcdef012345 *  replica  streaming  4-120398  3.50 ms  0.1.0
node-00000000ffff    replica  away 90 s  4-120398        -  0.1.0    no-an…er +1

node-00000000ffff: no-answer: it does not answer at 10.0.0.3:8470
node-00000000ffff: other: x
`,
  )
})

test('nothing is wider than the terminal, and --wide has all in full', () => {
  for (const columns of [40, 60, 80, 120])
    for (const line of clusterText(ANSWER, { ...LOOK, columns, textColumns: columns }).split('\n'))
      assert.ok(displayWidth(line) <= columns, line)
  const wide = clusterText(ANSWER, { ...FULL_LOOK, nowMs: NOW_MS })
  for (const text of [
    ...['node-abcdef012345 *', '10.0.0.3:8470', 'away since 2026-11-30T11:58:30.000Z', '90 s ago'],
    ...['4-120390 of 2026-11-30T11:59:58.000Z', 'one'],
  ])
    assert.ok(wide.includes(text), text)
})

test('a colour never stands without its word; no leader is said in words', () => {
  const none = { ...ANSWER, leader: null }
  const plain = clusterText(none, LOOK)
  const bright = clusterText(none, { ...LOOK, hasColours: true })
  assert.match(plain, /^leader {3}NONE: no node that answers leads$/m)
  assert.ok(bright.includes('\u001b[31maway 90 s\u001b[39m'))
  assert.ok(bright.includes('\u001b[32mstreaming\u001b[39m'))
  assert.equal(stripVTControlCharacters(bright), plain)
})

test('an address where no node answered stands for its id; texts steer no terminal', () => {
  const stranger: ClusterNode = {
    ...{ ...AWAY, node: '', address: '10.0.0.9:8470', role: null, position: null, version: null },
    ...{ awaySince: null, causes: [{ code: 'no-answer', text: '\u001b[2Jno' }] },
  }
  const text = clusterText({ ...ANSWER, nodes: [stranger] }, LOOK)
  assert.match(text, /^10\.0\.0\.9:8470 +- +away +- +- +- +no-answer$/m)
  assert.match(text, /^10\.0\.0\.9:8470: no-answer: \ufffd\[2Jno$/m)
  assert.match(String(CLUSTER({ ...ANSWER, nodes: [{ ...AWAY, state: 5 }] }, WHOLE)), /state/)
})

const ELECTION = {
  ...{ service: 'etcd https://10.0.0.9:2379', ttlMs: 5000, isHeld: true, node: LEADER.node },
  ...{ epoch: 4, validForMs: 3312, isByAgreement: false },
  text: 'node-1234567890ab, in epoch 4, for 3.3 s unless renewed',
}
const ELECTED: ClusterAnswer = {
  ...ANSWER,
  election: ELECTION,
  nodes: [
    { ...LEADER, election: { awayForMs: null, notPromoted: null } },
    { ...REPLICA, election: { awayForMs: 12_400, notPromoted: null } },
  ],
}

/** The lines about the lease and the lock service. */
function leaseLines(answer: ClusterAnswer, look: Look = FULL_LOOK): string {
  assert.equal(CLUSTER(answer, WHOLE), undefined)
  const lines = clusterText(answer, look).split('\n')
  return lines.filter((line) => /^(lease|lock service) /.test(line)).join('\n')
}

test('who holds the lease, and whom the lock service does not answer', () => {
  assert.equal(
    leaseLines(ELECTED),
    `lease         node-1234567890ab, in epoch 4, for 3.3 s unless renewed
lock service  etcd https://10.0.0.9:2379, ttl 5 s; DOES NOT ANSWER node-abcdef012345 (for 12 s)`,
  )
  assert.equal(leaseLines(ANSWER), '')
  for (const line of clusterText(ELECTED, LOOK).split('\n'))
    assert.ok(displayWidth(line) <= 80, line)
})
