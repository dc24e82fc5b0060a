/** All nodes in one list, from whichever node is asked; also while the leader is dead. */
import assert from 'node:assert/strict'
import {
  CLUSTER_PATH,
  type ClusterAnswer,
  type ClusterNode,
} from '../../src/api/clusterOverview.ts'
import { labTest } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'

const SECRET = 'correct horse battery staple'

async function clusterOf(node: TestNode): Promise<ClusterAnswer> {
  const { status, text } = await node.get(CLUSTER_PATH)
  assert.equal(status, 200, text)
  return JSON.parse(text)
}

function rowOf({ nodes }: ClusterAnswer, node: string): ClusterNode {
  const row = nodes.find((each) => each.node === node)
  assert.ok(row, `${node} is not in ${JSON.stringify(nodes)}`)
  return row
}

/** The list that `node` answers once it is as wanted. */
async function untilSeen(
  node: TestNode,
  what: string,
  isSo: (answer: ClusterAnswer) => boolean,
): Promise<ClusterAnswer> {
  let answer = await clusterOf(node)
  await until(what, async (saw) => {
    answer = await clusterOf(node)
    saw(JSON.stringify(answer))
    return isSo(answer)
  })
  return answer
}

for (const environment of [{}, { WALCAST_SECRET: SECRET }] as const)
  labTest(
    `all nodes are told by each of them, ${Object.keys(environment)[0] ?? 'open'}`,
    async (lab) => {
      const db = lab.path('a.db')
      await lab.prepare(db, 'PRAGMA journal_mode=WAL', 'CREATE TABLE t (x)')
      const named = (node: string) => ({ environment, flags: ['--name', node] })
      const a = await lab.leader(db, named('node-a'))
      const b = await lab.replica(lab.path('b.db'), a, named('node-b'))
      const c = await lab.replica(lab.path('c.db'), a, named('node-c'))
      await Promise.all([a, b, c].map((node) => node.ready()))
      await lab.exec(db, 'INSERT INTO t VALUES (1)')
      const { epoch, txid } = await a.status()

      for (const node of [a, b, c]) {
        const answer = await untilSeen(node, 'three nodes at one position', ({ nodes }) =>
          ['node-a', 'node-b', 'node-c'].every((each) =>
            nodes.some((row) => row.node === each && row.position === `${epoch}-${txid}`),
          ),
        )
        const { address } = node
        assert.equal(answer.asked, answer.nodes.find((row) => row.address === address)?.node)
        assert.deepEqual([answer.leader, answer.epoch, answer.database], ['node-a', epoch, 'main'])
        assert.deepEqual(
          answer.nodes.map((row) => [row.node, row.role, row.state, row.isReachable, row.ack]),
          [
            ['node-a', 'leader', 'capturing', true, 'local'],
            ['node-b', 'replica', 'streaming', true, 'local'],
            ['node-c', 'replica', 'streaming', true, 'local'],
          ],
        )
        assert.equal(rowOf(answer, 'node-b').address, b.address)
      }

      a.kill('SIGKILL')
      lab.mayEnd(a)
      await a.child.ended
      const without = await untilSeen(b, 'the leader is away', ({ nodes }) =>
        nodes.some((row) => row.node === 'node-a' && !row.isReachable),
      )
      const dead = rowOf(without, 'node-a')
      assert.deepEqual([without.leader, dead.role, dead.state], [null, 'leader', 'away'])
      assert.equal(dead.position, `${epoch}-${txid}`)
      assert.ok(Date.parse(dead.awaySince ?? '') <= Date.now())
      assert.match(dead.causes[0].text, /does not answer node-b/)
      assert.equal(rowOf(without, 'node-c').isReachable, true)
    },
  )
