/** The states of a pairing code, and who learns of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { replaceTime } from '../../src/platform/time.ts'
import {
  CODE_LIFE_MS,
  MAX_OPEN_CODES,
  MAX_WRONG_PROOFS,
  type NewPairing,
  PairingDesk,
} from '../../src/security/pairingDesk.ts'
import { type JoinClaim, type JoinKeys, joinProof } from '../../src/security/pairingProof.ts'
import { shiftedTime } from '../support/shiftedTime.ts'

const SERVER = 'aa'.repeat(32)
const [HERE, THERE] = ['bb'.repeat(32), 'cc'.repeat(32)]

function claimOf({ id }: Pick<NewPairing, 'id'>, change: Partial<JoinClaim> = {}): JoinClaim {
  const place = { node: 'node-b', address: '10.0.0.2:4001', cluster: '' }
  return { code: id, ...place, timeMs: 1_700_000_000_000, nonce: '0'.repeat(32), ...change }
}

function keysOf(client: string): JoinKeys {
  return { server: SERVER, client }
}

function opened(desk: PairingDesk): NewPairing {
  const made = desk.open()
  assert.ok(made)
  return made
}

/** Asks as a host that has the code does, and takes it when it is good. */
function ask(desk: PairingDesk, made: NewPairing, client: string): string {
  const claim = claimOf(made)
  const proof = joinProof(made.secret, claim, keysOf(client))
  const { state } = desk.judge(claim, keysOf(client), proof)
  if (state === 'good') desk.use(made.id, client, claim.node)
  return state
}

function guess(desk: PairingDesk, made: NewPairing): string {
  return desk.judge(claimOf(made), keysOf(THERE), 'f'.repeat(64)).state
}

test('a code is good for one key, again and again for that one', () => {
  const desk = new PairingDesk()
  const made = opened(desk)
  assert.equal(ask(desk, made, HERE), 'good')
  assert.equal(ask(desk, made, THERE), 'used')
  assert.equal(ask(desk, made, HERE), 'good')
})

test('all codes can be made to expire', () => {
  const desk = new PairingDesk()
  const [used, unused] = [opened(desk), opened(desk)]
  assert.equal(ask(desk, used, HERE), 'good')
  desk.expireAll()
  assert.deepEqual([ask(desk, used, HERE), ask(desk, unused, THERE)], ['expired', 'expired'])
  assert.equal(ask(desk, opened(desk), THERE), 'good')
})

test('a proof covers every field and both keys', () => {
  const desk = new PairingDesk()
  for (const change of [
    { node: 'node-c' },
    { address: '10.0.0.3:4001' },
    { cluster: 'cluster-a' },
    { timeMs: 1_700_000_000_001 },
    { nonce: '1'.repeat(32) },
  ]) {
    const made = opened(desk)
    const proof = joinProof(made.secret, claimOf(made), keysOf(HERE))
    assert.equal(desk.judge(claimOf(made, change), keysOf(HERE), proof).state, 'wrong')
    assert.equal(desk.judge(claimOf(made), keysOf(THERE), proof).state, 'wrong')
    const { client } = keysOf(HERE)
    assert.equal(desk.judge(claimOf(made), { server: THERE, client }, proof).state, 'wrong')
    assert.equal(desk.judge(claimOf(made), keysOf(HERE), proof.toUpperCase()).state, 'wrong')
    assert.equal(ask(desk, made, HERE), 'good')
  }
})

test('five wrong tries end a code; who does not have it never learns that', () => {
  const desk = new PairingDesk()
  const made = opened(desk)
  for (let tries = 1; tries < MAX_WRONG_PROOFS; tries++) assert.equal(guess(desk, made), 'wrong')
  assert.equal(ask(desk, made, HERE), 'good')
  const other = opened(desk)
  for (let tries = 0; tries < 2 * MAX_WRONG_PROOFS; tries++)
    assert.equal(guess(desk, other), 'wrong')
  assert.equal(ask(desk, other, HERE), 'ended')
  assert.equal(guess(desk, { id: '00000000', secret: Buffer.alloc(16) }), 'wrong')
  const nothing = { id: '00000000', secret: Buffer.alloc(16) }
  assert.equal(ask(desk, nothing, HERE), 'wrong')
})

test('a code ends after ten minutes, also for the key that used it', (t) => {
  const time = shiftedTime()
  t.after(replaceTime(time.source))
  const desk = new PairingDesk()
  const [made, unused] = [opened(desk), opened(desk)]
  assert.equal(ask(desk, made, HERE), 'good')
  time.shiftMs += CODE_LIFE_MS - 5000
  assert.equal(ask(desk, made, HERE), 'good')
  time.shiftMs += 6000
  assert.equal(ask(desk, made, HERE), 'expired')
  assert.equal(ask(desk, unused, HERE), 'expired')
  assert.equal(guess(desk, unused), 'wrong')
})

test('so many codes wait to be used, and no more', (t) => {
  const time = shiftedTime()
  t.after(replaceTime(time.source))
  const desk = new PairingDesk()
  assert.equal(desk.nextFreeMs, 0)
  const codes = Array.from({ length: MAX_OPEN_CODES }, () => opened(desk))
  assert.equal(desk.open(), undefined)
  assert.ok(desk.nextFreeMs > CODE_LIFE_MS - 60_000 && desk.nextFreeMs <= CODE_LIFE_MS)
  assert.equal(ask(desk, codes[0], HERE), 'good')
  opened(desk)
  assert.equal(desk.open(), undefined)
  time.shiftMs += CODE_LIFE_MS
  // What is remembered has a bound, too: the first is forgotten at last.
  for (let round = 0; round < 10; round++) {
    for (let count = 0; count < MAX_OPEN_CODES; count++) opened(desk)
    time.shiftMs += CODE_LIFE_MS
  }
  assert.equal(ask(desk, codes[0], HERE), 'wrong')
})

test('whatever is asked in whatever order, at most one key ever gets in', () => {
  const asks = fc.array(fc.constantFrom('here', 'there', 'guess'), { maxLength: 20 })
  fc.assert(
    fc.property(asks, (all) => {
      const desk = new PairingDesk()
      const made = opened(desk)
      const seen = new Set<string>()
      let wrong = 0
      for (const each of all) {
        if (each === 'guess') {
          assert.equal(guess(desk, made), 'wrong')
          wrong++
          continue
        }
        const state = ask(desk, made, each === 'here' ? HERE : THERE)
        if (wrong >= MAX_WRONG_PROOFS) assert.equal(state, 'ended')
        if (state === 'good') seen.add(each)
      }
      assert.ok(seen.size <= 1)
    }),
  )
})
