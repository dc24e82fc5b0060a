/** What follows from a failure that comes from what a file holds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  isHelpedBySnapshot,
  isLasting,
  isOfContent,
  isOfOneFile,
  lastingFile,
} from '../../src/backup/contentFailures.ts'
import { type ErrorCode, WalcastError } from '../../src/errors.ts'

const FILE = 'changes/0/000000000000007-000000000000009-aaaaaaaaaaaaaaaa'

/** Of content, lasting, helped by a snapshot, done without by a restore, noted in the place. */
const TABLE: readonly (readonly [ErrorCode, string])[] = [
  ['ARCHIVE_BROKEN', 'content lasting helped passed noted'],
  ['ARCHIVE_GAP', 'content lasting helped passed noted'],
  ['ARCHIVE_MISMATCH', 'content lasting helped passed noted'],
  ['ARCHIVE_NEWER', 'content lasting'],
  ['ARCHIVE_LOCKED', 'lasting passed'],
  ['ARCHIVE_MISSING', 'passed'],
  ['DRILL_MISMATCH', 'helped'],
  ['STORE_REFUSED', ''],
  ['STORE_UNREACHABLE', ''],
  ['DISK_FULL', ''],
]

test('each failure means the same wherever it is met', () => {
  for (const [key, expected] of TABLE) {
    const error = new WalcastError(key, { name: 'a', store: 'b', path: 'c', detail: 'd' })
    const found = [
      isOfContent(error) ? 'content' : '',
      isLasting(error) ? 'lasting' : '',
      isHelpedBySnapshot(key) ? 'helped' : '',
      isOfOneFile(error) ? 'passed' : '',
      lastingFile({ key, message: `${FILE}.wca is not as it was` }) ? 'noted' : '',
    ]
    assert.equal(found.filter((each) => each !== '').join(' '), expected, key)
  }
  assert.equal(isOfContent(new Error('ARCHIVE_BROKEN')), false)
})

test('a note is of the whole file that an error names', () => {
  const told = (name: string) =>
    lastingFile({ key: 'ARCHIVE_BROKEN', message: `archive file ${name} is not sound: x` })
  assert.equal(told(`${FILE}.wca`), `${FILE}.wca`)
  assert.equal(told(`${FILE}.0002.last.wca`), `${FILE}.wca`)
  assert.equal(told(`${FILE}.x.wca`), undefined)
  assert.equal(told('no file'), undefined)
})
