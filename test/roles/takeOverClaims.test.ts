/** Numbers in the orders and answers with which nodes hand leadership to each other. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { NodeFile } from '../../src/cluster/nodeFile.ts'
import type { NodeSetup } from '../../src/database/engine.ts'
import { keyOf } from '../../src/errors.ts'
import { PeerCommands } from '../../src/roles/peerCommands.ts'
import { step } from '../../src/roles/roleState.ts'
import { type ClaimKind, Claims } from '../../src/security/claims.ts'
import { copyFacts, FOLLOWING, roleFacts } from '../support/drivenRoles.ts'
import { fakeNode } from '../support/fakeNode.ts'
import { callsOf } from '../support/peers.ts'

const DRAINED = { epoch: 3, txid: 9, checksum: 'c9' }
const DAY_MS = 24 * 3_600_000

/** How a leader hears that the node at `body` has taken over: its position, or a key. */
async function taken(t: TestContext, body: object, refused: ClaimKind[]): Promise<unknown> {
  const node = await fakeNode(t, () => ({ body }))
  const commands = new PeerCommands({
    setup: { options: { peerTimeoutMs: 2000 } } as unknown as NodeSetup,
    calls: callsOf('node-m'),
    nodeFile: { record: { node: 'node-m', epoch: 3 } } as unknown as NodeFile,
    address: 'm:1',
    claims: new Claims(
      () => ({ epoch: 3, txid: 9 }),
      (kind) => refused.push(kind),
    ),
  })
  const to = { node: 'node-b', address: node.address }
  return commands
    .takeOver({
      ...{ do: 'giveTo', to, drained: DRAINED, by: 'ops' },
      ...{ untilMs: 1, aheadMs: 0, timeoutMs: 2000 },
    } as Parameters<PeerCommands['takeOver']>[0])
    .catch(keyOf)
}

test('a node that took over tells a position within reach, or its answer is none', async (t) => {
  const refused: ClaimKind[] = []
  assert.deepEqual(await taken(t, { epoch: 4, txid: 10 }, refused), { epoch: 4, txid: 10 })
  assert.equal(await taken(t, {}, refused), 'NODE_ANSWER')
  assert.equal(await taken(t, { epoch: '4', txid: 10 }, refused), 'NODE_ANSWER')
  assert.deepEqual(refused, [])
  for (const epoch of [2 ** 32 + 4, 2 ** 53 - 1, 2 ** 53, -1, 4.5])
    assert.equal(await taken(t, { epoch, txid: 10 }, refused), 'CLAIM_REFUSED')
  assert.equal(await taken(t, { epoch: 4, txid: 2 ** 32 + 10 }, refused), 'CLAIM_REFUSED')
  assert.deepEqual(refused, [...Array(5).fill('epoch'), 'txid'])
})

test('a time limit that no leader sets is refused', () => {
  const facts = roleFacts({ copy: copyFacts(), led: undefined })
  const phaseAfter = (until: number) => {
    const how = { ...DRAINED, from: 'node-a', to: facts.record.node, until }
    const asked = { type: 'takeOverAsked', request: 1, by: 'node-a', how } as const
    return step(facts, FOLLOWING, asked).state.phase
  }
  assert.equal(phaseAfter(facts.nowMs + DAY_MS), 'promoting')
  for (const until of [facts.nowMs + DAY_MS + 1, 2 ** 53 - 1, facts.nowMs - 1])
    assert.equal(phaseAfter(until), 'following', String(until))
})
