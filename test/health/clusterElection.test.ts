/** The lease of the whole cluster, from what its nodes tell, and what is believed of that. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ElectionReport } from '../../src/api/electionReport.ts'
import { clusterElection } from '../../src/health/clusterElection.ts'
import { electionEvents } from '../../src/health/electionEvents.ts'
import { toldElection } from '../../src/health/toldElection.ts'
import { toldStatus } from '../../src/health/toldStatus.ts'
import {
  AGREED,
  DECLINES,
  FOLLOWS,
  FOLLOWS_ALONE,
  LEADS,
  OVER,
} from '../support/electionReports.ts'

function told(node: string, election?: ElectionReport) {
  const status = toldStatus({ node, role: 'replica', epoch: 4, txid: 1, election })
  assert.ok(status)
  return status
}

test('without elections there is nothing to tell', () => {
  assert.equal(clusterElection([told('node-a'), told('node-b')], 'node-a'), undefined)
})

test("the leader's word counts first, then that of a node whom the service answers", () => {
  const nodes = [told('node-b', FOLLOWS_ALONE), told('node-c', FOLLOWS), told('node-a', LEADS)]
  const { service, ttlMs } = LEADS
  const of = { service, ttlMs, node: 'node-a', epoch: 4, isByAgreement: false }
  const name = 'node-a, in epoch 4'
  assert.deepEqual(clusterElection(nodes, 'node-a'), {
    ...of,
    ...{ isHeld: true, validForMs: 3312, text: `${name}, for 3.3 s unless renewed` },
  })
  assert.deepEqual(clusterElection(nodes.slice(0, 2), 'node-a'), {
    ...of,
    ...{ isHeld: true, validForMs: null, text: name },
  })
  // Neither the service nor a leader answers: what was seen before is not said of now.
  assert.deepEqual(clusterElection(nodes.slice(0, 1), null), {
    ...of,
    ...{ isHeld: null, validForMs: null, text: `not known: ${name}, had it last` },
  })
})

test('a leader that goes on by agreement, and one that may not write, are told as that', () => {
  const agreed = clusterElection([told('node-a', AGREED)], 'node-a')
  const agreedText = 'node-a, in epoch 4, by agreement of all members, for 2.1 s unless renewed'
  assert.deepEqual([agreed?.isByAgreement, agreed?.text], [true, agreedText])
  const over = clusterElection([told('node-a', OVER)], 'node-a')
  const overText = 'OVER: node-a, in epoch 4, and nobody may write there'
  assert.deepEqual([over?.validForMs, over?.text], [0, overText])
  const none = clusterElection([told('node-b', DECLINES)], null)
  assert.equal(none?.text, 'NONE: node-a, in epoch 4, had it last')
})

test('what another node tells is bounded and cleaned', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      const found = toldElection(value)
      for (const each of Object.values(found ?? {}))
        assert.ok(each === null || typeof each !== 'object')
    }),
    { examples: [[undefined], [1], ['x']] },
  )
  const wild = toldElection({
    ...{ service: `a\u001b[31m${'x'.repeat(999)}`, node: '../etc', epoch: -1, ttlMs: 'NaN' },
    ...{ validForMs: Number.POSITIVE_INFINITY, notPromoted: 'a\nb', isHeld: 'yes' },
  })
  assert.ok(wild && wild.service.length <= 300 && !wild.service.includes('\u001b'))
  const { node, epoch, ttlMs, validForMs, isHeld, notPromoted } = wild
  assert.deepEqual([node, epoch, ttlMs, validForMs, isHeld], [null, null, 0, 0, false])
  assert.doesNotMatch(notPromoted ?? '', /\n/)
})

test('listeners of events are told the state without numbers that move', () => {
  assert.deepEqual(electionEvents({}), [])
  const [first] = electionEvents({ election: LEADS })
  assert.deepEqual(electionEvents({ election: { ...LEADS, validForMs: 100 } }), [first])
  assert.deepEqual(electionEvents({ election: DECLINES })[0].data, {
    ...{ isHeld: false, node: 'node-a', epoch: 4, isByAgreement: false, isAway: false },
    ...{ notPromoted: '12 transactions behind node-b', isValid: null },
  })
  assert.notDeepEqual(electionEvents({ election: OVER }), [first])
})
