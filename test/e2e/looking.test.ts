/** Commands that look at nodes and files, as processes. */
import assert from 'node:assert/strict'
import { type Lab, labTest } from '../support/lab.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

async function ended(lab: Lab, ...args: string[]) {
  const child = lab.cli(args)
  child.expectEnd()
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

labTest('tail tells positions with their tables, and that the node was away', async (lab) => {
  const db = lab.path('app.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db)
  const tail = lab.cli(['tail', '--db', db, '--json'])
  const lines = (): Record<string, unknown>[] => tail.out.map((line) => JSON.parse(line))
  const position = (isWanted: (tables: string[]) => boolean) =>
    until('the position was told', (saw) => {
      saw(String(tail.out.length))
      return lines().find(({ tables }) =>
        isWanted(((tables ?? []) as { table: string }[]).map(({ table }) => table)),
      )
    })
  await until('it began', () => lines().some(({ state }) => state === 'capturing'))
  await lab.prepare(db, "INSERT INTO log (who, body) VALUES ('a', 'b')")
  const first = await position((tables) => tables.includes('log'))
  await lab.prepare(db, 'INSERT INTO mixed (grp, body) VALUES (1, randomblob(20000))')
  const second = await position((tables) => tables.includes('mixed'))
  assert.deepEqual([first['firstTxid'], second['firstTxid']], [first['txid'], second['txid']])
  assert.equal(Number(second['txid']), Number(first['txid']) + 1)
  assert.ok(Number(second['pages']) >= 5)

  await leader.stop()
  await until('it is away', () => tail.err.some((line) => line.endsWith('trying again')))
  await lab.restart(leader)
  await until('it is back', () => tail.err.some((line) => line.endsWith('answers again')))
  await until('it leads', () => lines().filter(({ state }) => state === 'capturing').length === 2)
  await lab.prepare(db, "UPDATE meta SET value = 7 WHERE key = 'last'")
  await until('the write was told', () =>
    lines().some(({ txid }) => Number(txid) > Number(second['txid'])),
  )
  tail.expectEnd()
  tail.kill('SIGINT')
  assert.deepEqual(await tail.ended, { code: 0, signal: null })
})

labTest('wal looks at the files of a living database, and leaves its locks alone', async (lab) => {
  const db = lab.path('app.db')
  await makeDatabase(lab, db)
  const writer = lab.sql(db)
  await writer.rows('PRAGMA wal_autocheckpoint = 0')
  await writer.rows('BEGIN IMMEDIATE')
  await writer.rows("INSERT INTO log (who, body) VALUES ('a', 'b')")
  const { code, out } = await ended(lab, 'wal', `${db}-wal`, '--json')
  const views = out.split('\n').map((line) => JSON.parse(line))
  assert.equal(code, 0)
  const locks = views.find(({ type }) => type === 'locks')
  assert.ok(locks.locks.some(({ names }: { names: string[] }) => names.includes('WRITE')))
  await writer.rows('COMMIT')
  const text = await ended(lab, 'wal', db)
  assert.match(text.out, /published +to frame \d+\n/)
  assert.deepEqual([text.code, (await ended(lab, 'wal', process.execPath)).code], [0, 1])
})

labTest(
  'help and version come by each of their names; mistakes name what was meant',
  async (lab) => {
    const out = async (...args: string[]) => {
      const { code, out: text, err } = await ended(lab, ...args)
      assert.deepEqual([code, err], [0, ''], args.join(' '))
      return text
    }
    const help = await out('token', '--help')
    assert.equal(await out('token', '-h'), help)
    assert.equal(await out('help', 'token'), help)
    assert.equal(await out('-h'), await out('help'))
    assert.match(await out('version'), /^\d+\.\d+\.\d+/)
    for (const [args, line] of [
      [['stauts'], /unknown command "stauts" \(did you mean status\?\); see walcast --help$/],
      [['help', 'stauts'], /did you mean status\?\)/],
      [['status', '--jsn'], /\(did you mean --json\?\); see walcast status --help$/],
      [['token', 'crate'], /\(did you mean create\?\); see walcast token --help$/],
      [['wal'], /wal takes one FILE; see walcast wal --help$/],
      [
        ['completion', 'tcsh'],
        /one of bash, zsh, fish, not "tcsh"; see walcast completion --help$/,
      ],
      [['leader', '--log-format', 'x', '--db', 'a'], /--log-format wants one of pretty, json/],
    ] as const) {
      const { code, err } = await ended(lab, ...args)
      assert.equal(code, 2, args.join(' '))
      assert.match(err, line)
    }
  },
)
