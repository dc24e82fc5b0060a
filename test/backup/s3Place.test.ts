/** Places of archives as people write them, and where the keys of a store come from. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { openStore } from '../../src/backup/stores/openStore.ts'
import { S3Credentials } from '../../src/backup/stores/s3/credentials.ts'
import { parseS3Place, urlOf } from '../../src/backup/stores/s3/place.ts'
import { S3Store } from '../../src/backup/stores/s3Store.ts'
import { WalcastError } from '../../src/errors.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { isCode } from '../support/storeContract.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-s3-place-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const KEYS = { AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'hidden' }

test('a place says bucket, prefix, region and endpoint', () => {
  for (const [place, environment, url, prefix, region] of [
    ['s3://backups', {}, 'https://backups.s3.us-east-1.amazonaws.com', '', 'us-east-1'],
    ['s3://backups/', {}, 'https://backups.s3.us-east-1.amazonaws.com', '', 'us-east-1'],
    [
      's3://backups/a/b/?region=eu-west-1',
      { AWS_REGION: 'eu-west-2' },
      'https://backups.s3.eu-west-1.amazonaws.com',
      'a/b',
      'eu-west-1',
    ],
    [
      's3://my.backups/a',
      { AWS_DEFAULT_REGION: 'cn-north-1' },
      'https://s3.cn-north-1.amazonaws.com.cn/my.backups',
      'a',
      'cn-north-1',
    ],
    [
      's3://Old_Backups/a%20b/ü%23',
      { AWS_REGION: 'eu-west-2', AWS_DEFAULT_REGION: 'eu-west-3' },
      'https://s3.eu-west-2.amazonaws.com/Old_Backups',
      'a b/ü#',
      'eu-west-2',
    ],
    [
      's3://backups/a?endpoint=minio.example.org:9000',
      { AWS_ENDPOINT_URL: 'https://other' },
      'https://minio.example.org:9000/backups',
      'a',
      'us-east-1',
    ],
    [
      's3://backups/a?path-style=no&region=fsn1',
      { AWS_ENDPOINT_URL: 'https://a', AWS_ENDPOINT_URL_S3: 'https://fsn1.example.org/' },
      'https://backups.fsn1.example.org',
      'a',
      'fsn1',
    ],
    [
      's3://backups?endpoint=https%3A%2F%2Fx.example.org%2Fstorage%2Fv1%2Fs3',
      {},
      'https://x.example.org/storage/v1/s3/backups',
      '',
      'us-east-1',
    ],
    ['s3://bkt?endpoint=http://[::1]:9000', {}, 'http://[::1]:9000/bkt', '', 'us-east-1'],
    [
      's3://bkt?endpoint=http://minio:9000&plaintext=yes',
      {},
      'http://minio:9000/bkt',
      '',
      'us-east-1',
    ],
  ] as const)
    assert.deepEqual(
      (({ url, prefix, region }) => [url, prefix, region])(parseS3Place(place, environment)),
      [url, prefix, region],
      place,
    )
  const place = parseS3Place('s3://backups', {})
  assert.equal(urlOf(place, "a b/ü+'"), `${place.url}/a%20b/%C3%BC%2B%27`)
})

test('a place with a secret, a way upwards or a mistake is refused, unshown', async () => {
  for (const place of [
    's3://',
    's3:///a',
    's3://a/b',
    's3://AKIA:hidden@backups/a',
    's3://hidden@backups/a',
    's3://backups/a?secret=hidden',
    's3://backups/a?hidden',
    's3://backups/a?endpoint=https://user:hidden@example.org',
    's3://backups/a?endpoint=https://hidden@example.org',
    's3://backups/a?endpoint=https://example.org?hidden',
    's3://backups/a?endpoint=https://example.org%23hidden',
    's3://backups/a?endpoint=ftp://example.org',
    's3://backups/a?endpoint=https://',
    's3://backups/a?endpoint=http://example.org',
    's3://backups/a?endpoint=http://127.0.0.1.example.org',
    's3://backups/a?endpoint=http://example.org&plaintext=no',
    's3://backups/a?endpoint=http://127.0.0.1:1&path-style=no',
    's3://backups/a?path-style=maybe',
    's3://backups/a?region=a/b',
    's3://backups/a?region=a&region=b',
    's3://backups/a#b',
    's3://backups/a/../b',
    's3://backups/./b',
    's3://backups/a/%2e%2e/b',
    's3://backups//a',
    's3://backups/a//b',
    's3://backups/100%',
    's3://backups/a%00',
    's3://backups/a\nb',
    's3://backups/a\u202eb',
    `s3://backups/${'ü'.repeat(500)}`,
    's3://back..ups/a',
    's3://.backups/a',
    's3://ba ckups/a',
    's3:/backups/a',
    'S3://backups/a',
    'gs://backups/a',
    'file:///backups',
    '',
  ])
    await assert.rejects(openStore(place, systemFileOps, KEYS), (error) => {
      assert.ok(error instanceof WalcastError, place)
      assert.equal(error.key, 'STORE_PLACE', place)
      assert.doesNotMatch(error.line, /hidden/, place)
      return true
    })
  await assert.rejects(
    openStore('s3://backups', systemFileOps, { ...KEYS, AWS_ENDPOINT_URL: 'http://example.org' }),
    isCode('STORE_PLACE'),
  )
})

test('a folder and a bucket are opened by one function', async () => {
  assert.ok((await openStore(folder, systemFileOps)) instanceof DirectoryStore)
  assert.ok((await openStore('./a', systemFileOps)) instanceof DirectoryStore)
  const store = await openStore('s3://backups/a?region=eu-west-1', systemFileOps, KEYS)
  assert.ok(store instanceof S3Store)
  assert.equal(store.name, 's3://backups/a?region=eu-west-1')
})

const FILE = `# comment
[default]
aws_access_key_id = DEFAULT
aws_secret_access_key = hidden=1/+

[ other ]
; aws_access_key_id = COMMENT
AWS_ACCESS_KEY_ID=OTHER
aws_secret_access_key=hidden2
aws_session_token=hidden3
region = eu-west-1
[half]
aws_access_key_id = HALF
[wrong]
aws_access_key_id = WRONG
aws_secret_access_key = hidden \u00fc
`

test('keys come from the environment, or from a file that only its owner reads', () => {
  mkdirSync(join(folder, '.aws'))
  const path = join(folder, '.aws/credentials')
  const keysOf = (environment: NodeJS.ProcessEnv) => new S3Credentials(environment).keys
  const refused = (environment: NodeJS.ProcessEnv, code: string, what: RegExp) =>
    assert.throws(
      () => keysOf(environment),
      (error) => {
        assert.ok(error instanceof WalcastError)
        assert.equal(error.key, code)
        assert.match(error.line, what)
        assert.doesNotMatch(error.line, /hidden/)
        return true
      },
    )
  refused({ HOME: folder }, 'STORE_KEYS', /no file .*\.aws\/credentials/)
  writeFileSync(path, FILE, { mode: 0o600 })
  const none = { sessionToken: undefined }
  const first = { accessKeyId: 'DEFAULT', secretAccessKey: 'hidden=1/+', ...none }
  const other = { accessKeyId: 'OTHER', secretAccessKey: 'hidden2', sessionToken: 'hidden3' }
  assert.deepEqual(keysOf({ HOME: folder }), first)
  assert.deepEqual(keysOf({ AWS_SHARED_CREDENTIALS_FILE: path, AWS_PROFILE: 'other' }), other)
  assert.deepEqual(
    keysOf({ ...KEYS, HOME: folder, AWS_PROFILE: 'other', AWS_SESSION_TOKEN: 't' }),
    {
      accessKeyId: 'AKIA',
      secretAccessKey: 'hidden',
      sessionToken: 't',
    },
  )
  refused({ AWS_ACCESS_KEY_ID: 'A', HOME: folder }, 'STORE_KEYS', /only one/)
  refused({ HOME: folder, AWS_PROFILE: 'nobody' }, 'STORE_KEYS', /\[nobody\]/)
  refused({ HOME: folder, AWS_PROFILE: 'half' }, 'STORE_KEYS', /lacks/)
  refused({ HOME: folder, AWS_PROFILE: 'wrong' }, 'STORE_KEYS', /characters/)
  refused({ ...KEYS, AWS_SESSION_TOKEN: 'hidden\nx' }, 'STORE_KEYS', /characters/)
  writeFileSync(path, `${FILE}${'#'.repeat(300_000)}`)
  refused({ HOME: folder }, 'STORE_KEYS', /too many/)
  writeFileSync(path, FILE)
  chmodSync(path, 0o640)
  // Root's files may be read by their group.
  const isRoot = process.getuid?.() === 0
  if (!isRoot) refused({ HOME: folder }, 'SECRET_SHARED', /0640/)
  chmodSync(path, 0o644)
  refused({ HOME: folder }, 'SECRET_SHARED', /0644/)
})
