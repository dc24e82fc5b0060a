/** What is known of drills outlives the node, and a broken file counts as none. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type DrillRecord, DrillRecords } from '../../../src/backup/drill/drillRecords.ts'
import { systemFileOps } from '../../../src/platform/fileOps.ts'

const RECORD: DrillRecord = {
  sinceMs: 1,
  lastMs: 5,
  proof: {
    kind: 'proven',
    position: '1-7',
    incarnation: '0011223344556677',
    untilMs: 2,
    provenMs: 4,
    tookMs: 30,
    bytes: 4096,
  },
  failure: { code: 'ARCHIVE_BROKEN', message: 'it is broken', failedMs: 5 },
}

function pathIn(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-drills-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'drills.json')
}

function opened(path: string, ...places: string[]): { records: DrillRecords; broken: string[] } {
  const broken: string[] = []
  const records = DrillRecords.open(path, places, systemFileOps, (why) => broken.push(why))
  return { records, broken }
}

test('records are there again, those of other places are not', async (t) => {
  const path = pathIn(t)
  const { records, broken } = opened(path, 'a', 'b')
  void records.set('a', { sinceMs: 9 })
  await records.set('b', RECORD)
  await records.set('a', RECORD)
  const again = opened(path, 'b', '__proto__')
  assert.deepEqual(again.records.get('b'), RECORD)
  assert.equal(again.records.get('a'), undefined)
  assert.equal(again.records.get('__proto__'), undefined)
  assert.deepEqual([...broken, ...again.broken], [])
})

test('what is not a record counts as none', (t) => {
  const path = pathIn(t)
  for (const [text, isBroken] of [
    ['{"a":', true],
    ['null', false],
    ['{"a":{"sinceMs":"x"}}', false],
    ['{"a":{"sinceMs":1e300}}', false],
  ] as const) {
    writeFileSync(path, text)
    const { records, broken } = opened(path, 'a')
    assert.equal(records.get('a'), undefined)
    assert.equal(broken.length > 0, isBroken, text)
  }
  writeFileSync(path, '{"a":{"sinceMs":1,"proof":{"kind":"guessed"},"failure":7}}')
  const { records } = opened(path, 'a')
  assert.deepEqual(records.get('a'), {
    sinceMs: 1,
    lastMs: undefined,
    proof: undefined,
    failure: undefined,
  })
})
