import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { type Kek, Keyring, keyring, newKek } from '../../src/security/keyring.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-keyring-'))
after(() => rmSync(root, { recursive: true, force: true }))
let made = 0

/** A path for a database, and the file of its keys. */
function place() {
  const db = join(root, `${++made}.db`)
  const file = `${db}-walcast/keys/cluster.json`
  mkdirSync(dirname(file), { recursive: true })
  const write = (content: unknown, mode = 0o600) => {
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
    chmodSync(file, mode)
  }
  return { db, file, write }
}

const at = (id: string, createdAt: string | number): Kek => ({ ...newKek(), id, createdAt })

test('without a file there are no keys, and no error', () => {
  const keys = keyring(join(root, 'nothing.db'))
  assert.equal(keys.latest(), undefined)
  assert.equal(keys.find('kek-1'), undefined)
})

test('the latest is the last made, in any order, on every node', () => {
  const keks = [at('b', 2000), at('c', '1970-01-01T00:00:02.000Z'), at('a', 1000)]
  for (const order of [keks, [...keks].reverse()]) assert.equal(Keyring.of(order).latest()?.id, 'c')
  const ring = Keyring.of(keks)
  assert.deepEqual(ring.find('a')?.key, Buffer.from(keks[2].key, 'hex'))
  assert.equal(ring.find('d'), undefined)
})

test('a new key is 32 random bytes, and the keyring takes it', () => {
  const [one, other] = [newKek(), newKek()]
  assert.notEqual(one.key, other.key)
  assert.notEqual(one.id, other.id)
  assert.equal(Keyring.of([one]).latest()?.key.length, 32)
})

test('a key that is added to the file is seen while the program runs', () => {
  const { db, write } = place()
  const [first, second] = [at('first', 1), at('second', 2)]
  write({ cluster: 'c', keks: [first], members: [] })
  const keys = keyring(db)
  assert.equal(keys.latest()?.id, 'first')
  write({ keks: [first, second] })
  assert.equal(keys.find('second')?.id, 'second')
  assert.equal(keys.latest()?.id, 'second')
  assert.equal(keys.find('first')?.id, 'first')
})

test('it is the file beside the database behind a link', () => {
  const { db, write } = place()
  write({ keks: [at('one', 1)] })
  writeFileSync(db, '')
  symlinkSync(db, join(root, 'link.db'))
  assert.equal(keyring(join(root, 'link.db')).latest()?.id, 'one')
})

test('a file that others can read is refused', () => {
  for (const mode of [0o644, 0o604, 0o660]) {
    const { db, write } = place()
    write({ keks: [newKek()] }, mode)
    assert.throws(() => keyring(db), { code: 'WALCAST_SECRET_SHARED' })
  }
})

test('what is no list of keys is refused, and never quoted', () => {
  const good = newKek()
  const broken: unknown[] = [
    '{',
    { keks: {} },
    { keks: [{ ...good, key: good.key.slice(1) }] },
    { keks: [{ ...good, key: `${good.key.slice(1)}+` }] },
    { keks: [{ ...good, id: 'a b' }] },
    { keks: [{ ...good, id: 7 }] },
    { keks: [{ ...good, createdAt: 'soon' }] },
    { keks: [{ ...good, createdAt: null }] },
    { keks: [null] },
    { keks: Array.from({ length: 1001 }, () => good) },
    `{"keks": [${JSON.stringify(good)}`,
  ]
  for (const content of broken) {
    const { db, write } = place()
    write(content)
    assert.throws(
      () => keyring(db),
      (error: Error & { code?: string }) =>
        error.code === 'WALCAST_KEYRING_UNREADABLE' &&
        !error.message.includes(good.key.slice(0, 9)),
    )
  }
  assert.throws(() => Keyring.of([{ ...good, key: '' }]), { code: 'WALCAST_KEYRING_UNREADABLE' })
})

test('a record without keys is an empty keyring', () => {
  for (const content of [{}, { keks: [] }, 'null']) {
    const { db, write } = place()
    write(content)
    assert.equal(keyring(db).latest(), undefined)
  }
})

test('a folder or a pipe in the place of the file is refused', () => {
  const { db, file } = place()
  mkdirSync(file)
  assert.throws(() => keyring(db), { code: 'WALCAST_KEYRING_UNREADABLE' })
})
