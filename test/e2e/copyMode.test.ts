/**
 * The permissions of a copy, its `-wal` and its `-shm`: those of the leader's file, or those of
 * `--copy-mode`.
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
    `copies of a ${mode} file have its mode from the start, also behind a relay`,
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
  'an existing copy gets its mode at the start, and the node keeps its locks',
  async (lab) => {
    const leader = await leaderOf(lab, 0o640)
    const replica = await (await lab.replica(lab.path('copy.db'), leader)).ready()
    await waitLevel(leader, replica)
    assert.deepEqual(modesOf(replica.db), all('640'))
    await replica.stop()
    await leader.stop()
    for (const suffix of ['', '-wal', '-shm']) chmodSync(`${replica.db}${suffix}`, 0o666)
    // The leader is away, so the replica uses the mode that it last heard.
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

labTest('copies follow a leader file that becomes private, not one that opens up', async (lab) => {
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
})

labTest('a bad --copy-mode is a usage error that says what is valid', async (lab) => {
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
    const wanted = 'an octal mode such as 0640: 6, then 0, 4 or 6 for the group and for others'
    assert.match(child.err.join('\n'), new RegExp(`--copy-mode wants ${wanted}`))
  }
})
