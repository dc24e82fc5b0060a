/** A copy that another user may read and not write, and readers that open it again and again. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync } from 'node:fs'
import type { Child } from './child.ts'
import { type Lab, type StartOptions, waitLevel } from './lab.ts'
import type { SqlSession } from './sqlSession.ts'
import { until } from './until.ts'
import { makeDatabase } from './workload.ts'

/** The user `nobody`, on any Linux. */
export const STRANGER = { uid: 65534, gid: 65534 }
export const NEWEST =
  "SELECT (SELECT max(id) FROM log), (SELECT value FROM meta WHERE key = 'last')"

/** Two databases in folders that everybody may enter and only the owner may write. */
export async function twoFolders(lab: Lab): Promise<{ source: string; copy: string }> {
  assert.equal(process.getuid?.(), 0, 'readers run as another user: run these tests as root')
  chmodSync(lab.folder, 0o755)
  for (const name of ['a', 'b']) mkdirSync(lab.path(name), { mode: 0o755 })
  const source = lab.path('a/app.db')
  await makeDatabase(lab, source, { rows: 10 })
  const session = lab.sql(source)
  await commit(session)
  await session.close()
  return { source, copy: lab.path('b/copy.db') }
}

export async function cluster(
  lab: Lab,
  flags: readonly string[],
  leaderOptions: StartOptions = {},
) {
  const { source, copy } = await twoFolders(lab)
  const leader = await lab.leader(source, leaderOptions)
  const replica = await (await lab.replica(copy, leader, { flags })).ready()
  await waitLevel(leader, replica)
  return { leader, replica, source, copy }
}

/** Commits one more log row and returns its id. */
export async function commit(session: SqlSession): Promise<number> {
  await session.rows('BEGIN IMMEDIATE')
  await session.rows("INSERT INTO log (who) VALUES ('test')")
  await session.rows("UPDATE meta SET value = (SELECT max(id) FROM log) WHERE key = 'last'")
  await session.rows('COMMIT')
  return Number(await session.value('SELECT max(id) FROM log'))
}

/** Opens the copy again and again as another user, until told to stop. */
export class Opener {
  readonly #child: Child

  constructor(lab: Lab, language: 'python' | 'node', path: string) {
    const options = { path, sql: NEWEST, ...STRANGER }
    this.#child =
      language === 'python' ? lab.python('opener', options) : lab.program('opener', options)
  }

  get opened(): number {
    return JSON.parse(this.#child.out.at(-1) ?? '{}').opened ?? 0
  }

  async advance(opens: number): Promise<void> {
    const from = this.opened
    await until('opens', () => this.opened >= from + opens, 60_000)
  }

  /** Ends it, and proves that it met no error, except a brief one while SQLite resets a WAL. */
  async stop(isReset: boolean): Promise<void> {
    this.#child.expectEnd()
    this.#child.write('stop')
    const { text } = await this.#child.line((line) => line.includes('"done"'))
    const { errors, lasting } = JSON.parse(text).done
    const { SQLITE_READONLY_CANTINIT: passing = 0, ...others } = errors
    assert.deepEqual([others, lasting], [{}, 0], text)
    if (!isReset) assert.equal(passing, 0, text)
  }
}
