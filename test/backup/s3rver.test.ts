/**
 * The contract of a store, held against s3rver: an S3 store that others wrote. It looks over
 * `If-None-Match`, has no list of unfinished uploads, and wants parts of 5 MiB. It checks who signs
 * and not the signature, which s3Signature.test.ts does.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { S3Store } from '../../src/backup/stores/s3Store.ts'
import { openS3Lease } from '../../src/roles/election/s3Lease.ts'
import { isCode, storeContract } from '../support/storeContract.ts'

interface Server {
  run(): Promise<{ readonly port: number }>
  close(): Promise<void>
}

/** It has no types of its own. */
const S3rver = createRequire(import.meta.url)('s3rver') as new (options: object) => Server

const KEYS = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' }
const directory = mkdtempSync(join(tmpdir(), 'walcast-s3rver-'))
const server = new S3rver({
  ...{ port: 0, address: '127.0.0.1', silent: true, directory },
  configureBuckets: [{ name: 'archives' }],
})
let port = 0
before(async () => {
  port = (await server.run()).port
})
after(async () => {
  await server.close()
  rmSync(directory, { recursive: true, force: true })
})

let made = 0
const newStore = (keys = KEYS) =>
  new S3Store(
    `s3://archives/prüfung ${++made}?endpoint=http://127.0.0.1:${port}&region=us-east-1`,
    keys,
  )

storeContract('s3rver', () => newStore(), {
  isExclusive: false,
  largeBytes: 20 * 1024 ** 2,
})

test('s3rver is not fit for leases', async () => {
  const place = `s3://archives/ha?endpoint=http://127.0.0.1:${port}&region=us-east-1`
  const setup = { node: 'node-a', prefix: 'walcast/orders', ttlMs: 5000, timeoutMs: 10_000 }
  const service = openS3Lease(place, setup, KEYS)
  await assert.rejects(service.probe(), isCode('ELECTION_UNFIT'))
  await service.close()
})

test('s3rver refuses an unknown key', async () => {
  const store = newStore({ ...KEYS, AWS_ACCESS_KEY_ID: 'UNKNOWN' })
  await assert.rejects(store.list('changes/0'), isCode('STORE_REFUSED'))
})
