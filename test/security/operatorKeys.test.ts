/** The operator's certificate: what is refused, and what a change of the files does. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Logger } from 'pino'
import { makeKeys } from '../../src/security/nodeKeys.ts'
import { OperatorKeyWatch, readOperatorKeys } from '../../src/security/operatorKeys.ts'
import { ServedKeys } from '../../src/security/servedKeys.ts'
import { Authority, writeIssued } from '../support/certificates.ts'

const HOUR_MS = 3_600_000
const BROKEN = 'cannot use the certificate in the files; going on with the one before'

function setUp(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-keys-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const authority = new Authority('test authority')
  const path = join(folder, 'node')
  const paths = { tlsCert: `${path}.crt`, tlsKey: `${path}.key`, tlsCa: join(folder, 'ca.crt') }
  writeFileSync(paths.tlsCa, authority.certificate)
  const issued = authority.issue('node-a')
  writeIssued(path, issued)
  return { folder, authority, path, paths, issued }
}

function watchOf(t: TestContext, paths: ReturnType<typeof setUp>['paths']) {
  const lines: string[] = []
  const note = (level: string) => (details: { code?: string }, text: string) =>
    void lines.push([level, details.code, text].filter(Boolean).join(' '))
  const log = { info: note('info'), warn: note('warn'), error: note('error') } as unknown as Logger
  const keys = new ServedKeys(readOperatorKeys(paths))
  const watch = new OperatorKeyWatch(paths, keys, log, HOUR_MS)
  t.after(() => watch.stop())
  return { keys, watch, lines }
}

test('certificate, key and authority are read, and the key must be private', (t) => {
  const { paths, issued, authority } = setUp(t)
  const { key, certificate, authority: read } = readOperatorKeys(paths)
  assert.deepEqual(
    [key, certificate, read],
    [issued.key, issued.certificate, authority.certificate],
  )
  assert.equal(readOperatorKeys({ ...paths, tlsCa: undefined }).authority, undefined)
  chmodSync(paths.tlsKey, 0o644)
  assert.throws(() => readOperatorKeys(paths), { code: 'WALCAST_SECRET_SHARED' })
})

test('what is missing, broken, of another key or past its time is refused', (t) => {
  const { paths, path, authority, folder } = setUp(t)
  const refused = (code: string, change: Partial<typeof paths> = {}) =>
    assert.throws(() => readOperatorKeys({ ...paths, ...change }), { code: `WALCAST_${code}` })
  refused('KEYS_BROKEN', { tlsCert: join(folder, 'none') })
  refused('KEYS_BROKEN', { tlsKey: join(folder, 'none') })
  refused('KEYS_BROKEN', { tlsCa: join(folder, 'none') })
  writeFileSync(join(folder, 'junk'), 'junk')
  refused('KEYS_BROKEN', { tlsCert: join(folder, 'junk') })
  refused('KEYS_BROKEN', { tlsCa: join(folder, 'junk') })
  writeFileSync(paths.tlsCert, authority.issue('node-b').certificate)
  refused('KEYS_BROKEN')
  writeIssued(path, authority.issue('node-a', Date.now() - HOUR_MS))
  refused('CERTIFICATE_EXPIRED')
})

test('a new certificate is taken, and each failure is told once', (t) => {
  const { paths, path, authority, issued } = setUp(t)
  const { keys, watch, lines } = watchOf(t, paths)
  watch.look()
  assert.deepEqual(
    lines.filter((line) => !line.startsWith('warn')),
    [],
  )
  const renewed = authority.issue('node-a', Date.now() + 100 * 24 * HOUR_MS)
  // The two files never change at the same moment.
  writeFileSync(paths.tlsCert, renewed.certificate)
  watch.look()
  watch.look()
  assert.equal(keys.current.certificate, issued.certificate)
  writeIssued(path, renewed)
  watch.look()
  assert.equal(keys.current.certificate, renewed.certificate)
  writeIssued(path, authority.issue('node-a', Date.now() - HOUR_MS))
  watch.look()
  watch.look()
  assert.equal(keys.current.certificate, renewed.certificate)
  assert.deepEqual(lines, [
    'warn the certificate of this node ends soon',
    `error WALCAST_KEYS_BROKEN ${BROKEN}`,
    'info loaded a new certificate; new connections use it',
    `error WALCAST_CERTIFICATE_EXPIRED ${BROKEN}`,
  ])
})

test('keys that are replaced tell who serves with them', () => {
  const keys = new ServedKeys(makeKeys())
  const told: string[] = []
  keys.onReplaced(() => told.push(keys.current.fingerprint))
  const other = makeKeys()
  keys.replace(other)
  assert.deepEqual(told, [other.fingerprint])
  assert.throws(() => keys.replace({ ...other, key: 'junk' }))
  assert.equal(keys.current, other)
})
