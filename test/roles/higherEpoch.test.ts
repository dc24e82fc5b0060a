/**
 * What a leader does when it is told of a higher epoch, by who answers at the address that it was
 * told of.
 */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Instance } from '../../src/cluster/instance.ts'
import type { NodeFile } from '../../src/cluster/nodeFile.ts'
import { PeerQuestions, type PeerQuestionsParts } from '../../src/roles/election/peerQuestions.ts'
import type { TwinWatch } from '../../src/roles/twinWatch.ts'
import { type ClaimKind, Claims } from '../../src/security/claims.ts'
import { driveRoles, LEADING, roleFacts } from '../support/drivenRoles.ts'
import { callsOf } from '../support/peers.ts'

const MINE = { node: 'node-m', cluster: 'cluster-a', epoch: 3, term: 3 }
const INSTANCE = new Instance(() => 0)
const TOLD = { node: 'node-b', epoch: 5, term: 5 }

/** A node that answers so when it is asked who leads. Gives its address. */
async function answering(t: TestContext, answer: object): Promise<string> {
  const server = createServer((_, response) => {
    const { port } = server.address() as AddressInfo
    const whole = {
      role: 'leader',
      ready: true,
      txid: 9,
      address: `127.0.0.1:${port}`,
      timeMs: Date.now(),
    }
    response.end(JSON.stringify({ ...whole, ...answer }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function questionParts(onRefused?: (kind: ClaimKind) => void): PeerQuestionsParts {
  const { node, cluster } = MINE
  return {
    timeoutMs: 2000,
    calls: callsOf(MINE.node),
    nodeFile: { record: { node, cluster } } as unknown as NodeFile,
    address: '127.0.0.1:1',
    instance: INSTANCE,
    members: { list: () => [] },
    trust: { onDigest() {} },
    twins: { onTwin() {}, tellApart() {}, requireOwn() {} } as unknown as TwinWatch,
    claims: new Claims(() => ({ epoch: MINE.epoch, txid: 9 }), onRefused),
  }
}

/**
 * A leader that node-b tells of epoch 5, and what it does about that. `known`: where it met node-b.
 */
async function told(address: string, known?: string): Promise<string> {
  let did: (what: string) => void = () => {}
  const done = new Promise<string>((resolve) => {
    did = resolve
  })
  const { node, cluster: _, ...epochs } = MINE
  const { inbox } = driveRoles({
    state: LEADING,
    facts: {
      record: { ...roleFacts().record, ...epochs, node },
      members: known === undefined ? [] : [{ node: TOLD.node, address: known }],
    },
    questions: new PeerQuestions(questionParts()),
    end: (order) => {
      if (order.do === 'recordLeading') did(`raises to ${order.begins.epoch}`)
      if (order.do === 'follow') did(`follows ${order.leader}`)
      return undefined
    },
  })
  inbox.post({ type: 'higherEpochHeard', by: { ...TOLD, address } })
  return done
}

test('a leader gives way to the node that told it of a higher epoch and leads there', async (t) => {
  const place = await answering(t, { ...TOLD, cluster: MINE.cluster })
  assert.equal(await told(place), `follows ${place}`)
  const elsewhere = await answering(t, { ...TOLD, cluster: 'cluster-z' })
  assert.equal(await told(elsewhere, place), `follows ${place}`)
})

test(
  'whoever else answers at its address says nothing of that epoch: it counts as told, and ' +
    'nobody is followed',
  async (t) => {
    for (const answer of [
      { node: 'node-z', cluster: 'cluster-z', epoch: 900, term: 900 },
      { node: 'node-c', cluster: MINE.cluster, epoch: 2, term: 2 },
      { ...MINE, instance: INSTANCE.id },
      { ...MINE, instance: 'another-process' },
    ])
      assert.equal(await told(await answering(t, answer)), 'follows undefined')
  },
)

test('answers with numbers or names out of bounds are left out and counted by kind', async (t) => {
  const refused: ClaimKind[] = []
  const parts = questionParts((kind) => refused.push(kind))
  const questions = new PeerQuestions(parts)
  const heard = async (change: object) => {
    const at = await answering(t, { ...TOLD, cluster: MINE.cluster, ...change })
    return (await questions.ask([at])).length
  }
  assert.equal(await heard({ epoch: MINE.epoch + 2 ** 32 }), 1)
  assert.deepEqual(refused, [])
  const cases: [object, ClaimKind][] = [
    ...[MINE.epoch + 2 ** 32 + 1, 2 ** 53 - 1, 2 ** 53, -1, 1.5].flatMap(
      (number): [object, ClaimKind][] => [
        [{ epoch: number }, 'epoch'],
        [{ term: number }, 'epoch'],
        [{ positionEpoch: number }, 'epoch'],
      ],
    ),
    [{ txid: 9 + 2 ** 32 + 1 }, 'txid'],
    [{ history: `0123456789abcdef@${9 + 2 ** 32 + 1}` }, 'txid'],
    [{ node: 'node\u001b[2J' }, 'node'],
    [{ address: 'somewhere' }, 'address'],
    [{ address: 'a:1\u202e' }, 'address'],
  ]
  for (const [change, kind] of cases) {
    assert.equal(await heard(change), 0, JSON.stringify(change))
    assert.deepEqual(refused.splice(0), [kind], JSON.stringify(change))
  }
  assert.equal(await heard({ epoch: 2 ** 53 - 1, cluster: 'cluster-z' }), 0)
  assert.deepEqual(refused, [], 'what another cluster says is not judged')
})
