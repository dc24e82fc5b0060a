/** The options of a node in force: what it keeps or derives in place of what was given. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeRecord } from '../../src/cluster/nodeRecord.ts'
import type { TrustRecord } from '../../src/cluster/trustRecord.ts'
import { OptionsInForce, type OptionsInForceParts } from '../../src/node/optionsInForce.ts'
import { defaultOptions } from '../../src/options/defaults.ts'
import type { NodeOptions } from '../../src/options/nodeOptions.ts'
import { originText } from '../../src/options/optionOrigin.ts'
import { secretId } from '../../src/security/clusterSecrets.ts'
import { makeKeys } from '../../src/security/nodeKeys.ts'
import { ServedKeys } from '../../src/security/servedKeys.ts'

const SECRET = 'S3CRET of sixteen characters'
const NOW_MS = Date.parse('2026-11-30T12:00:00Z')
const PATH = '/srv/app.db-walcast/node.json'
const TRUST_PATH = '/srv/app.db-walcast/keys/cluster.json'

interface World {
  readonly options?: Partial<NodeOptions>
  readonly record?: Partial<NodeRecord>
  readonly trust?: Partial<TrustRecord>
  readonly secret?: string
  readonly upstream?: string
  readonly tls?: OptionsInForceParts['tls']
}

function answerIn({ options, record, trust, secret, tls, upstream }: World) {
  const inForce = new OptionsInForce({
    setup: {
      options: { ...defaultOptions(), db: '/srv/app.db', ...options } as NodeOptions,
      given: { origins: new Map([['leader', { from: 'flag', detail: '--leader' }]]), others: [] },
      secret,
    },
    nodeFile: {
      path: PATH,
      record: {
        node: 'node-a',
        role: 'leader',
        leader: '',
        standby: false,
        ...record,
      } as NodeRecord,
    },
    trust: {
      file: { path: TRUST_PATH, record: { secrets: [], keks: [], ...trust } as TrustRecord },
    },
    tls,
    stateFolder: '/srv/app.db-walcast',
    traffic: { upstream },
    clock: { nowMs: () => NOW_MS },
  })
  const { options: shown, keys } = inForce.answer()
  const row = (name: string) => {
    const { value, origin } = shown.find((each) => each.name === name) ?? {}
    return [value, origin && originText(origin)]
  }
  return { row, keys, text: JSON.stringify({ shown, keys }) }
}

test('what the role file keeps is in force, whatever was given', () => {
  const leader = answerIn({ options: { leader: '10.0.0.1:1' } })
  assert.deepEqual(leader.row('--name'), ['node-a', `kept in ${PATH}`])
  assert.deepEqual(leader.row('--leader'), [null, `kept in ${PATH}`])
  const follows = {
    role: 'standby',
    leader: '10.0.0.1:1',
    standby: true,
    leaderMode: 0o640,
  } as const
  const same = answerIn({ options: { leader: '10.0.0.1:1' }, record: follows })
  assert.deepEqual(same.row('--leader'), ['10.0.0.1:1', 'flag --leader'])
  assert.deepEqual(same.row('--standby'), ['on', `kept in ${PATH}`])
  assert.deepEqual(same.row('--copy-mode'), ['0640', "derived from the leader's file"])
  assert.deepEqual(same.row('--advertise'), ['127.0.0.1:8470', 'derived from --listen'])
  const later = { ...follows, leader: '10.0.0.9:1' }
  const moved = answerIn({ options: { leader: '10.0.0.1:1' }, record: later })
  assert.deepEqual(moved.row('--leader'), ['10.0.0.9:1', `kept in ${PATH}`])
})

test('the application may have moved to its other port', () => {
  const [first, other] = ['http://127.0.0.1:3000', 'http://127.0.0.1:3001']
  const moved = answerIn({ options: { upstream: first }, upstream: other })
  const now = [other, 'derived from the application, as it runs now']
  assert.deepEqual(moved.row('--upstream'), now)
  assert.deepEqual(answerIn({ options: { upstream: first }, upstream: first }).row('--upstream'), [
    first,
    'default',
  ])
})

test('keys are named with their age, and never shown', () => {
  const given = { id: secretId(SECRET), secret: SECRET, createdAt: 0, endsAt: NOW_MS + 1000 }
  const fresh = { id: '01020304', secret: 'S3CRET that came later', createdAt: NOW_MS - 3_600_000 }
  const ended = { id: '0a0b0c0d', secret: 'S3CRET that is over', createdAt: 1, endsAt: 2 }
  const key = 'S3CRET'.padEnd(64, '0')
  const keks = [
    { id: 'k1', key, createdAt: NOW_MS - 9000 },
    { id: 'k2', key, createdAt: NOW_MS - 10 },
  ]
  const tls = { keys: new ServedKeys(makeKeys()), transport: 'tls' } as const
  const world = { secret: SECRET, tls, trust: { secrets: [given, fresh, ended], keks } }
  const { keys, row, text } = answerIn(world)
  assert.ok(!text.includes('S3CRET') && !text.includes('PRIVATE'))
  assert.deepEqual(
    keys.map(({ kind, id, created, ends, isInUse }) => [kind, id, created, ends, isInUse]),
    [
      ['secret', given.id, null, '2026-11-30T12:00:01.000Z', false],
      ['secret', fresh.id, '2026-11-30T11:00:00.000Z', null, true],
      ['settings-key', 'k1', '2026-11-30T11:59:51.000Z', null, false],
      ['settings-key', 'k2', '2026-11-30T11:59:59.990Z', null, true],
      // Its file is not there: nothing tells when it was made.
      ['certificate', tls.keys.current.fingerprint, null, null, true],
    ],
  )
  assert.equal(originText(keys[4].origin), 'kept in /srv/app.db-walcast/keys/node.crt')
  assert.deepEqual(row('--tls'), ['on', 'derived from --listen'])
  assert.deepEqual(answerIn({}).keys, [])
})
