/**
 * The permissions of a copy, its `-wal` and its `-shm`: those of the leader's file, or those that
 * the operator chose.
 */
import assert from 'node:assert/strict'
import { chmodSync, statSync } from 'node:fs'
import { type Lab, labTest, waitLevel } from '../support/lab.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

/** The modes of the three files. */
function modesOf(path: string): string[] {
  return ['', '-wal', '-shm'].map((suffix) =>
    (statSync(`${path}${suffix}`).mode & 0o7777).toString(8),
  )
}

const all = (mode: string): string[] => [mode, mode, mode]

async function leaderOf(lab: Lab, mode: number) {
  const source = lab.path('app.db')
  await makeDatabase(lab, source, { rows: 10 })
  chmodSync(source, mode)
  return lab.leader(source)
}

for (const mode of ['600', '640'])
  labTest(
    `copies of a file of mode ${mode} have it from the first copy on, also behind a wider relay`,
    async (lab) => {
      const leader = await leaderOf(lab, Number.parseInt(mode, 8))
      const relay = await lab.replica(lab.path('relay.db'), leader, {
        flags: ['--copy-mode', '0644'],
      })
      const end = await lab.replica(lab.path('end.db'), await relay.ready())
      await waitLevel(leader, await end.ready())
      assert.deepEqual(modesOf(relay.db), all('644'))
      assert.deepEqual(modesOf(end.db), all(mode))
    },
  )

labTest(
  'an existing copy is brought to its mode at the start, and the node keeps its locks',
  async (lab) => {
    const leader = await leaderOf(lab, 0o640)
    const replica = await (await lab.replica(lab.path('copy.db'), leader)).ready()
    await waitLevel(leader, replica)
    assert.deepEqual(modesOf(replica.db), all('640'))
    await replica.stop()
    await leader.stop()
    for (const suffix of ['', '-wal', '-shm']) chmodSync(`${replica.db}${suffix}`, 0o666)
    // What the leader last said is remembered: it is not there.
    const alone = await lab.restart(replica)
    assert.deepEqual(modesOf(replica.db), all('640'))
    await alone.stop()
    const chosen = await lab.restart(replica, { flags: ['--copy-mode', '0604'] })
    assert.deepEqual(modesOf(replica.db), all('604'))
    const again = await lab.restart(leader)
    await waitLevel(again, chosen)
    assert.deepEqual(modesOf(replica.db), all('604'))
    const stray = await lab.sql(replica.db, { timeoutMs: 0 }).attempt('DELETE FROM log')
    assert.match(stray.error ?? '', /SQLITE_BUSY/)
  },
)

labTest(
  'a leader whose file is made private narrows the copies, and one that opens it widens none',
  async (lab) => {
    const leader = await leaderOf(lab, 0o644)
    const replica = await (await lab.replica(lab.path('copy.db'), leader)).ready()
    assert.deepEqual(modesOf(replica.db), all('644'))
    await leader.stop()
    chmodSync(leader.db, 0o600)
    const narrow = await lab.restart(leader)
    await until('narrowed', () => modesOf(replica.db).join() === all('600').join())
    await waitLevel(narrow, replica)
    await narrow.stop()
    chmodSync(leader.db, 0o666)
    await waitLevel(await lab.restart(leader), replica)
    assert.deepEqual(modesOf(replica.db), all('600'))
  },
)

labTest('a mode of no sense is a usage error that says what is wanted', async (lab) => {
  for (const mode of ['0400', '0750', '0666x', '4644', '416', 'rw-r-----', '0622', '']) {
    const child = lab.cli([
      'replica',
      '--db',
      lab.path('x.db'),
      '--leader',
      '127.0.0.1:1',
      '--copy-mode',
      mode,
    ])
    assert.equal((await child.ended).code, 2)
    assert.match(
      child.err.join('\n'),
      /--copy-mode wants an octal mode such as 0640: 6, then 0, 4 or 6 for the group and for others/,
    )
  }
})
