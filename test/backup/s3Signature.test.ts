/**
 * Signature Version 4 against the examples that AWS has published: "Signature Calculations for the
 * Authorization Header: Transferring Payload in a Single Chunk" in the API reference of S3. The
 * signer of requests and the server of these tests each give the signatures that are printed there.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { S3Place } from '../../src/backup/stores/s3/place.ts'
import { type S3Request, signRequest } from '../../src/backup/stores/s3/signedRequest.ts'
import { signatureProblem } from '../support/s3Signature.ts'

const KEYS = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  sessionToken: undefined,
}
const AT_MS = Date.parse('2013-05-24T00:00:00Z')
const PLACE: S3Place = {
  bucket: 'examplebucket',
  prefix: '',
  region: 'us-east-1',
  url: 'https://examplebucket.s3.amazonaws.com',
  name: 's3://examplebucket',
}

const EXAMPLES: readonly (readonly [string, S3Request, string])[] = [
  [
    'GET Object',
    { method: 'GET', key: 'test.txt', headers: { range: 'bytes=0-9' } },
    'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  ],
  [
    'PUT Object',
    {
      method: 'PUT',
      key: 'test$file.text',
      headers: {
        date: 'Fri, 24 May 2013 00:00:00 GMT',
        'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      },
      body: Buffer.from('Welcome to Amazon S3.'),
    },
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  ],
  [
    'GET Bucket Lifecycle',
    { method: 'GET', key: '', query: { lifecycle: '' } },
    'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  ],
  [
    'GET Bucket (List Objects)',
    { method: 'GET', key: '', query: { 'max-keys': '2', prefix: 'J' } },
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  ],
]

/** As it arrives at the server. */
function received({ method, body }: S3Request, url: string, headers: Record<string, string>) {
  const { host, pathname, search } = new URL(url)
  return {
    method,
    target: `${pathname}${search}`,
    headers: { ...headers, host },
    body: Buffer.from(body ?? ''),
  }
}

const accepted = { ...KEYS, sessionToken: '', region: PLACE.region }

for (const [what, request, signature] of EXAMPLES)
  test(`AWS's example of ${what} has the signature that AWS prints`, async () => {
    const { url, headers } = await signRequest(request, PLACE, KEYS, AT_MS)
    assert.ok(headers['authorization'].endsWith(`Signature=${signature}`), headers['authorization'])
    const arrived = received(request, url, headers)
    assert.equal(signatureProblem(arrived, accepted, AT_MS), undefined)
    for (const changed of [
      { ...arrived, method: 'DELETE' },
      { ...arrived, target: '/other' },
      { ...arrived, body: Buffer.from('other') },
      { ...arrived, headers: { ...arrived.headers, host: 'other' } },
    ])
      assert.notEqual(signatureProblem(changed, accepted, AT_MS), undefined)
  })

test('what is signed is what is sent, whatever characters it has', async () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(text, { minLength: 1, maxLength: 4 }),
      text,
      text,
      async (key, name, value) => {
        const parts = key.map((part) => part.replace(/^\.+/, 'x'))
        const request: S3Request = {
          method: 'PUT',
          key: parts.join('/'),
          query: { [name]: value, uploadId: '+/= &' },
          headers: { 'x-amz-meta-a': 'a  b', 'if-none-match': '*' },
          body: Buffer.from(value),
        }
        const token = { ...KEYS, sessionToken: 'token+/=' }
        const { url, headers } = await signRequest(request, PLACE, token, AT_MS)
        const arrived = received(request, url, headers)
        assert.equal(signatureProblem(arrived, { ...accepted, ...token }, AT_MS), undefined)
        assert.deepEqual(decodeURIComponent(arrived.target.split('?')[0]), `/${parts.join('/')}`)
      },
    ),
    { numRuns: 50 },
  )
})
