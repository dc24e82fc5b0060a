/**
 * Writes at a leader: let in, held while it hands over, sent on when it no longer leads, counted
 * while they are inside.
 */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test } from 'node:test'
import { keyOf, WalcastError } from '../../src/errors.ts'
import { Client } from '../../src/proxy/client.ts'
import { WriteGate } from '../../src/proxy/writeGate.ts'
import { within } from '../support/until.ts'

function setUp({ holdMs = 10_000, maxHeld = 2 } = {}) {
  const node = { isLeading: true, checks: 0 }
  const admission = new WriteGate(
    { maxHeld, holdMs, address: 'a:1' },
    {
      isLeading: () => node.isLeading,
      check: () => {
        node.checks++
      },
    },
  )
  return { node, admission }
}

function client(): Client & { readonly leave: () => void } {
  const response = new EventEmitter()
  const made = new Client({} as IncomingMessage, response as ServerResponse)
  return Object.assign(made, { leave: () => response.emit('close') })
}

test('an open leader lets writes in, and looks at itself for each', async () => {
  const { node, admission } = setUp()
  assert.equal(await admission.admit(client()), true)
  assert.equal(admission.refuse(), undefined)
  assert.ok(node.checks >= 2)
  assert.equal(admission.heldTotal, 0)
})

test('held writes go in if the leader carries on, elsewhere if it does not', async () => {
  const { node, admission } = setUp()
  admission.hold('change', 'handing over')
  assert.equal(keyOf(admission.refuse()), 'SWITCHING')
  const first = admission.admit(client())
  admission.release('change')
  assert.equal(await within('it goes in', first), true)
  admission.hold('change', 'handing over')
  const second = admission.admit(client())
  assert.deepEqual([admission.held, admission.heldTotal], [1, 2])
  node.isLeading = false
  admission.clear()
  assert.equal(await within('it goes elsewhere', second), false)
})

test('holding is bounded in number and time, and ends with the client', async () => {
  const { admission } = setUp({ holdMs: 20, maxHeld: 1 })
  admission.hold('change', 'handing over')
  const patient = admission.admit(client())
  await assert.rejects(admission.admit(client()), (error) => keyOf(error) === 'TOO_MANY_HELD')
  await assert.rejects(patient, (error) => keyOf(error) === 'LEADER_AWAY')
  const { admission: other } = setUp()
  other.hold('change', 'handing over')
  const tired = client()
  tired.heldUntilMs(0)
  const waited = other.admit(tired)
  await assert.rejects(within('it has waited elsewhere', waited), { key: 'LEADER_AWAY' })
  const leaver = client()
  const left = other.admit(leaver)
  leaver.leave()
  assert.equal(await within('it is let go', left), false)
})

test('an isolated leader refuses at once, also writes that wait', async () => {
  const { admission } = setUp()
  admission.hold('frozen', 'asking who leads')
  const waiting = admission.admit(client())
  admission.refuseWith(new WalcastError('LEADER_ALONE', { seconds: 10 }))
  await assert.rejects(waiting, (error) => keyOf(error) === 'LEADER_ALONE')
  await assert.rejects(admission.admit(client()), (error) => keyOf(error) === 'LEADER_ALONE')
  admission.refuseWith(undefined)
  assert.equal(keyOf(admission.refuse()), 'SWITCHING', 'it still asks')
  admission.release('frozen')
  assert.equal(await admission.admit(client()), true)
})

test('each reason holds writes by itself, whatever becomes of the others', async () => {
  const { admission } = setUp()
  admission.hold('frozen', 'this node stood still')
  admission.hold('change', 'handing over')
  const waiting = admission.admit(client())
  admission.release('change')
  assert.equal(keyOf(admission.refuse()), 'SWITCHING')
  assert.equal(admission.held, 1)
  admission.refuseWith(new WalcastError('LEADER_ALONE', { seconds: 10 }))
  await assert.rejects(waiting, (error) => keyOf(error) === 'LEADER_ALONE')
  admission.release('frozen')
  assert.equal(keyOf(admission.refuse()), 'LEADER_ALONE')
  admission.clear()
  assert.equal(admission.refuse(), undefined)
})

test('a slow client does not keep the role from changing, an application does', async () => {
  const { admission } = setUp()
  let isSending = true
  const ended = admission.begin(() => isSending)
  assert.equal(await admission.quiet(20), true)
  assert.equal(admission.underWay, 1, 'it may go on all the same')
  isSending = false
  assert.equal(await admission.quiet(20), false, 'it works by now')
  isSending = true
  const other = admission.begin()
  const quiet = admission.quiet(10_000)
  other()
  assert.equal(await within('it is quiet', quiet), true)
  ended()
})

test('it is quiet when the last write has come out', async () => {
  const { admission } = setUp()
  assert.equal(await admission.quiet(0), true)
  const [first, second] = [admission.begin(), admission.begin()]
  assert.equal(await admission.quiet(1), false)
  const quiet = admission.quiet(10_000)
  first()
  first()
  assert.equal(admission.underWay, 1)
  second()
  assert.equal(await within('it is quiet', quiet), true)
})
