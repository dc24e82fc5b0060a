/** Follows docs/operating/tokens.md: each of its commands, in the order of the page. */
import assert from 'node:assert/strict'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Lab, labTest } from '../support/lab.ts'
import { SECRET } from '../support/trafficLab.ts'
import { makeDatabase } from '../support/workload.ts'

const PAGE = readFileSync(
  fileURLToPath(new URL('../../../docs/operating/tokens.md', import.meta.url)),
  'utf8',
)
const PLACE = '/etc/dashboard.token'
const ADDRESS = '10.0.0.1:8470'

/** Lines with a command, without what sends its output to a file. */
function commandsOf(page: string): readonly string[] {
  const lines = [
    ...page.matchAll(/^ {4,}(?:\(umask 077; )?((?:WALCAST_\w+=\S+ )?walcast .*?)\)?$/gm),
  ]
  return lines.map(([, command]) => command.replace(` > ${PLACE}`, ''))
}

async function run(lab: Lab, command: string): Promise<readonly string[]> {
  const [, name, value, rest] = /^(?:(WALCAST_\w+)=(\S+) )?walcast (.*)$/.exec(command) ?? []
  const args = [...rest.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare)
  const child = lab.cli(args, name === undefined ? {} : { [name]: value })
  child.expectEnd()
  assert.equal((await child.ended).code, 0, `${command}\n${child.tail()}`)
  return child.out
}

labTest('the commands of the page on tokens do what it says', async (lab) => {
  const db = lab.path('app.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db, { environment: { WALCAST_SECRET: SECRET } })
  const file = lab.path('dashboard.token')
  const [create, status, list, revoke, ...rest] = commandsOf(PAGE)
  assert.deepEqual(rest, [])
  const onMachine = (command: string) => `${command} --db ${db}`

  const [token] = await run(lab, onMachine(create))
  assert.match(token, /^wct_/)
  writeFileSync(file, `${token}\n`)
  chmodSync(file, 0o600)
  const asked = status.replace(PLACE, file).replace(ADDRESS, leader.address)
  assert.match((await run(lab, asked)).join('\n'), /leader/)

  const listed = (await run(lab, onMachine(list))).join('\n')
  assert.match(listed, /dashboard/)
  assert.ok(!listed.includes(token), 'it shows no token')
  const [, id] = /^wct_([a-z0-9]{10})/.exec(token) ?? []
  assert.ok(listed.includes(id))
  const [shown] = /[a-z0-9]{10}$/.exec(revoke) ?? []
  assert.ok(shown)
  await run(lab, onMachine(revoke.replace(shown, id)))
  const answer = await leader.get('/_walcast/status', { authorization: `Bearer ${token}` })
  assert.equal(answer.status, 401)
})
