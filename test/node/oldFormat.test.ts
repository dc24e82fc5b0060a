import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { oldNodesOf } from '../../src/node/oldFormat.ts'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'

const SECRETS = new ClusterSecrets(['correct horse battery staple'])

function given(
  options: { readonly oldSignatures?: boolean },
  transport: 'plain' | 'tls' | undefined,
) {
  const lines: string[] = []
  const log = pino({}, { write: (line: string) => void lines.push(line) })
  const old = oldNodesOf(options, log, SECRETS, transport && { transport })
  return { old, lines }
}

test('without the option there are no old nodes', () => {
  assert.deepEqual(given({}, 'plain'), { old: undefined, lines: [] })
  assert.deepEqual(given({ oldSignatures: false }, 'tls'), { old: undefined, lines: [] })
})

test('with it the node says so at each start', () => {
  const { old, lines } = given({ oldSignatures: true }, 'plain')
  assert.ok(old)
  assert.equal(lines.length, 1)
  assert.match(lines[0], /"level":40.*--old-signatures/)
  assert.match(old.sign({ method: 'GET', path: '/', node: 'a', epoch: 1, nowMs: 1 }), /^v1 node=a /)
})

test('it wants a secret, and plain text', () => {
  const usage = (text: RegExp) => (error: Error) => text.test(error.message)
  assert.throws(() => given({ oldSignatures: true }, undefined), usage(/WALCAST_SECRET/))
  assert.throws(() => given({ oldSignatures: true }, 'tls'), usage(/--plaintext/))
})
