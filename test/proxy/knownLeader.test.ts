/** What a node believes of the leader that it asks before it sends requests there. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { KnownLeader } from '../../src/proxy/knownLeader.ts'
import { isBelievable } from '../../src/security/claims.ts'
import { fakeNode } from '../support/fakeNode.ts'
import { callsOf } from '../support/peers.ts'

/** A leader that answers so, asked by a node in epoch 3. */
async function asked(t: TestContext, answer: object) {
  const whole = { role: 'leader', ready: true, taking: true }
  const node = await fakeNode(t, () => ({ body: { ...whole, ...answer } }))
  const known = new KnownLeader(node.address, {
    calls: callsOf('node-a'),
    sign: () => '',
    dial: undefined,
    bodyOf: ({ code, message, cure }) => ({ code, message, cure }),
    believes: (epoch) => isBelievable(epoch, 3),
  })
  return { isTaking: await known.probe(), epoch: known.epoch, publicUrl: known.publicUrl }
}

test('an epoch out of reach is not signed with, and its teller is sent nothing', async (t) => {
  assert.deepEqual(await asked(t, { epoch: 4 }), { isTaking: true, epoch: 4, publicUrl: undefined })
  for (const epoch of [2 ** 32 + 4, 2 ** 53 - 1, 2 ** 53, -1, 3.5])
    assert.deepEqual(await asked(t, { epoch }), { isTaking: false, epoch: 0, publicUrl: undefined })
})

test('clients are sent only to a web address', async (t) => {
  const urlOf = async (publicUrl: unknown) => (await asked(t, { epoch: 3, publicUrl })).publicUrl
  assert.equal(await urlOf('https://app.example/a'), 'https://app.example/a')
  for (const wrong of [
    ...['javascript:alert(1)', 'file:///etc/passwd', 'app.example', 'http://', 5, null],
    ...['http://a\r\nset-cookie: x=y', 'http://a/\u202e', `http://a/${'x'.repeat(2048)}`],
  ])
    assert.equal(await urlOf(wrong), undefined, String(wrong))
})
