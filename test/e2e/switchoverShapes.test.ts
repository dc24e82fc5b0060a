/**
 * Switchovers of databases of every shape, around VACUUM, huge transactions and readers that
 * linger.
 */
import assert from 'node:assert/strict'
import { type Lab, labTest, requireSame } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'

const FLAGS = ['--heartbeat', '100ms', '--reconnect-max', '100ms']

async function switchOver(from: TestNode): Promise<void> {
  const { status, text } = await from.post('/_walcast/switchover')
  assert.equal(status, 200, text)
}

async function fill(lab: Lab, db: string, megabytes: number): Promise<void> {
  await lab.exec(
    db,
    `INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${megabytes * 256}) SELECT NULL, randomblob(4000) FROM n`,
  )
}

for (const pageSize of [512, 65536])
  labTest(
    `pages of ${pageSize} bytes: VACUUM, a large transaction and a reader across switchovers`,
    async (lab) => {
      const db = lab.path('a.db')
      await lab.exec(db, `PRAGMA page_size = ${pageSize}`, 'PRAGMA journal_mode = wal')
      await lab.exec(db, 'CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB)')
      const first = await lab.node(db, { flags: FLAGS })
      const environment = { WALCAST_LEADER: first.address }
      const second = await (await lab.node(lab.path('b.db'), { flags: FLAGS, environment })).ready()
      // Both were begun before anything happens, and see what they saw then.
      const readers = [lab.sql(first.db, { readOnly: true }), lab.modernSql(second.db)]
      for (const reader of readers) await reader.rows('BEGIN')
      for (const reader of readers)
        assert.deepEqual(await reader.rows('SELECT count(*) FROM t'), [[0]])

      await fill(lab, first.db, 20)
      await switchOver(first)
      await lab.exec(second.db, 'DELETE FROM t WHERE id % 3 > 0', 'VACUUM')
      await requireSame(lab, second, first)
      // A transaction that is under way is waited for, and is part of it.
      const writer = lab.sql(second.db)
      await writer.rows('BEGIN IMMEDIATE')
      await writer.rows('INSERT INTO t VALUES (NULL, zeroblob(100000))')
      const switched = switchOver(second)
      await writer.rows('UPDATE t SET b = randomblob(3000)')
      await writer.rows('COMMIT')
      await switched
      const [[count]] = await writer.rows('SELECT count(*) FROM t')
      await writer.rows('PRAGMA busy_timeout = 200')
      await assert.rejects(writer.rows('INSERT INTO t VALUES (NULL, 1)'), /locked/)
      await fill(lab, first.db, 1)
      await requireSame(lab, first, second)
      assert.equal(count, Math.floor((20 * 256) / 3) + 1)

      for (const reader of readers) {
        assert.deepEqual(await reader.rows('SELECT count(*) FROM t'), [[0]])
        await reader.rows('COMMIT')
        const [[now]] = await reader.rows('SELECT count(*) FROM t')
        assert.equal(now, Number(count) + 256)
        assert.deepEqual(await reader.rows('PRAGMA integrity_check'), [['ok']])
      }
    },
  )
