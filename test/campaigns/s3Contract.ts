/**
 * The contract of a store against a real S3 store, which others run. By hand:
 * `TEST_S3_PLACE='s3://BUCKET/PREFIX?endpoint=URL' node --test dist/test/campaigns/s3Contract.js`,
 * with the keys in the environment. It writes below the prefix and removes what it wrote. It says
 * whether the store honours conditional writes.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { S3Client } from '../../src/backup/stores/s3/client.ts'
import { ConditionalWrites } from '../../src/backup/stores/s3/conditionalWrites.ts'
import { S3Credentials } from '../../src/backup/stores/s3/credentials.ts'
import { listUploads } from '../../src/backup/stores/s3/listing.ts'
import { parseS3Place } from '../../src/backup/stores/s3/place.ts'
import { S3Store } from '../../src/backup/stores/s3Store.ts'
import { isCode, put, storeContract } from '../support/storeContract.ts'

const place = process.env['TEST_S3_PLACE']
assert.ok(place, 'TEST_S3_PLACE names a place to write to')
const [bucket, query = ''] = place.split('?')
const run = `walcast-test-${Date.now()}`
let made = 0
const placeOf = (number: number) => `${bucket}/${run}/ü%20+${number}?${query}`
const client = new S3Client(parseS3Place(place, process.env), new S3Credentials(process.env))
const key = (name: string) => `${parseS3Place(placeOf(0), process.env).prefix}/${name}`
const isExclusive = await new ConditionalWrites(client, key).areHonoured()
console.log(`conditional writes are ${isExclusive ? 'honoured' : 'not honoured'}`)

/** The names that the contract leaves. */
const LEFT = ['a', 'b', 'x/a', 'x/large', 'changes/0/b.wca', 'changes/0-b.wca', 'changes/0/1/c.wca']

after(async () => {
  for (let number = 0; number <= made; number++) {
    const store = new S3Store(placeOf(number), process.env)
    for (const name of LEFT) await store.remove(name)
    const probe = `${parseS3Place(placeOf(number), process.env).prefix}/.walcast-conditional-writes`
    await client.ask({ method: 'DELETE', key: probe, purpose: 'clean up', expected: [404] })
  }
})

storeContract(place, () => new S3Store(placeOf(++made), process.env), {
  isExclusive,
  largeBytes: 20 * 1024 ** 2,
})

test('no unfinished upload is left, if the store lists them', async (t) => {
  const left = await listUploads(client, key('').replace(/[^/]*\/$/, '')).catch((error) => {
    t.diagnostic(String(error.message))
    return []
  })
  assert.deepEqual(left, [])
})

test('a wrong secret is refused', async () => {
  const keys = { ...process.env, AWS_SECRET_ACCESS_KEY: 'wrong-wrong-wrong' }
  await assert.rejects(new S3Store(placeOf(1), keys).list('x'), isCode('STORE_REFUSED'))
  await assert.rejects(put(new S3Store(placeOf(1), keys), 'a', 'x'), isCode('STORE_REFUSED'))
})
