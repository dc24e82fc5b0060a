/** What follows from a failure that comes from what a file holds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  isHelpedBySnapshot,
  isLasting,
  isOfContent,
  isOfOneFile,
} from '../../src/backup/contentFailures.ts'
import { type ErrorCode, WalcastError } from '../../src/errors.ts'

/** Of content, lasting, helped by a snapshot, done without by a restore. */
const TABLE: readonly (readonly [ErrorCode, string])[] = [
  ['ARCHIVE_BROKEN', 'content lasting helped passed'],
  ['ARCHIVE_GAP', 'content lasting helped passed'],
  ['ARCHIVE_MISMATCH', 'content lasting helped passed'],
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
    ]
    assert.equal(found.filter((each) => each !== '').join(' '), expected, key)
  }
  assert.equal(isOfContent(new Error('ARCHIVE_BROKEN')), false)
})
