/** The token of the command line. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readCredential } from '../../src/cli/credential.ts'
import { readToken } from '../../src/security/givenToken.ts'
import { newToken } from '../../src/security/token.ts'

test('a token comes from a variable or a private file, and counts before the secret', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-token-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const { text, id } = newToken()
  const file = join(folder, 'token')
  writeFileSync(file, `${text}\n`, { mode: 0o600 })
  const [direct, named] = [{ WALCAST_TOKEN: text }, { WALCAST_TOKEN_FILE: file }]
  for (const environment of [direct, named]) assert.equal(readToken(environment)?.id, id)
  for (const environment of [{}, { WALCAST_TOKEN: '', WALCAST_TOKEN_FILE: '' }])
    assert.equal(readToken(environment), undefined)
  const secret = { WALCAST_SECRET: 'a secret of some length' }
  assert.equal(readCredential({ ...direct, ...secret })?.kind, 'token')
  assert.equal(readCredential(secret)?.kind, 'secret')
  assert.equal(readCredential({}), undefined)

  assert.throws(() => readToken({ ...direct, ...named }), /both WALCAST_TOKEN and WALCAST_TOKEN_F/)
  const wrong = 'correct horse battery staple'
  for (const given of [wrong, `${text}x`, 'wct_x', `Bearer ${text}`])
    assert.throws(
      () => readToken({ WALCAST_TOKEN: given }),
      ({ code, message }) => code === 'WALCAST_TOKEN_UNREADABLE' && !message.includes(given),
    )
  assert.throws(() => readToken({ WALCAST_TOKEN_FILE: join(folder, 'none') }), /ENOENT/)
  const shared = join(folder, 'shared')
  writeFileSync(shared, text, { mode: 0o644 })
  assert.throws(() => readToken({ WALCAST_TOKEN_FILE: shared }), { code: 'WALCAST_SECRET_SHARED' })
})
