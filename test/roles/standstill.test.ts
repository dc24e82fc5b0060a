/** What a node does that has stood still while its role was being changed. */
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { keyOf } from '../../src/errors.ts'
import type { PeerQuestions } from '../../src/roles/election/peerQuestions.ts'
import type { RoleStepEnd } from '../../src/roles/state/roleEvents.ts'
import { beforeStart } from '../../src/roles/state/startup.ts'
import { copyFacts, driveRoles, FOLLOWING } from '../support/drivenRoles.ts'

/** A node whose questions wait until `answer`, and whose orders named `held` wait until `end`. */
function setUp(state = FOLLOWING, held = '') {
  let answer: () => void = () => {}
  let end: (event: RoleStepEnd) => void = () => {}
  const questions = {
    askAll: () =>
      new Promise((resolve) => {
        answer = () => resolve({ answers: [], unheard: [] })
      }),
  } as unknown as PeerQuestions
  const node = driveRoles({
    state,
    questions,
    facts: { copy: copyFacts() },
    end: (order) => {
      if (order.do !== held) return undefined
      return new Promise((resolve) => {
        end = resolve
      })
    },
  })
  return { ...node, answer: () => answer(), end: (event: RoleStepEnd) => end(event) }
}

test(
  'a node that stood still in a change by which it comes to lead lets nobody write before it ' +
    'has asked',
  async (t) => {
    mock.timers.enable({ apis: ['Date'] })
    t.after(() => mock.timers.reset())
    const { driver, inbox, admission, answer, end } = setUp(FOLLOWING, 'admitWriters')
    const how = { epoch: 3, txid: 9, checksum: 'c9', from: 'node-l', to: 'node-m', until: 60_000 }
    const taken = driver.request({ type: 'takeOverAsked', by: 'a test', how })
    await turn()
    mock.timers.setTime(60_000)
    inbox.checkAlive()
    end({ type: 'writersAdmitted' })
    await taken
    assert.equal(keyOf(admission.refuse()), 'SWITCHING', 'it is asking')
    answer()
    await turn()
    assert.equal(admission.refuse(), undefined)
  },
)

test('a node that stood still while it started asks before it lets anybody write', async (t) => {
  mock.timers.enable({ apis: ['Date', 'setInterval'] })
  t.after(() => mock.timers.reset())
  const { driver, inbox, standstill, admission, answer, end } = setUp(
    beforeStart('leader'),
    'openLeader',
  )
  mock.timers.setTime(60_000)
  standstill.begin()
  const started = driver.start()
  inbox.checkAlive()
  assert.equal(admission.refuse(), undefined, 'what was before its start does not count')
  mock.timers.setTime(70_000)
  inbox.checkAlive()
  end({ type: 'leaderOpened' })
  await started
  assert.equal(keyOf(admission.refuse()), 'SWITCHING', 'it is asking')
  answer()
  await turn()
  assert.equal(admission.refuse(), undefined)
  await driver.stop()
})

test('one that follows in the end, or that changes nothing, keeps nothing held', async () => {
  mock.timers.enable({ apis: ['Date'] })
  const { driver, inbox, admission, end } = setUp(FOLLOWING, 'lockCopy')
  const how = { epoch: 3, txid: 9, checksum: 'c9', from: 'node-l', to: 'node-m', until: 60_000 }
  const refused = assert.rejects(driver.request({ type: 'takeOverAsked', by: 'a test', how }))
  await turn()
  mock.timers.setTime(60_000)
  inbox.checkAlive()
  assert.equal(keyOf(admission.refuse()), 'SWITCHING')
  end({ type: 'failed', error: new Error('it is locked') })
  await refused
  assert.equal(admission.refuse(), undefined)
  mock.timers.setTime(120_000)
  inbox.checkAlive()
  assert.equal(admission.refuse(), undefined)
  mock.timers.reset()
})
