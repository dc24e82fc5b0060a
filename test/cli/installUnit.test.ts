/** The systemd unit that `walcast join --systemd` writes. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { test } from 'node:test'
import { lastingArguments } from '../../src/cli/nodeArguments.ts'
import { unitText } from '../../src/cli/systemdUnit.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { joinArguments, pair, startLeader, trustOf } from '../support/pairing.ts'
import { CLI } from '../support/paths.ts'

const ANALYZE = '/usr/bin/systemd-analyze'

/** Runs a command as somebody else than root, so that no unit of the system is written. */
async function runAsUser(lab: Lab, args: readonly string[], environment: Record<string, string>) {
  const user = process.geteuid?.() === 0 ? ['unshare', '--user', '--map-user=1000'] : []
  const [file, ...words] = [...user, process.execPath, CLI, ...args]
  const child = lab.spawn(`walcast ${args[0]} as a user`, file, words, environment)
  child.expectEnd()
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

test('words of a command reach the program as they are', () => {
  const text = unitText({
    description: 'node 100%',
    command: ['/usr/bin/node', '/opt/a b/main.js', '--name', 'x%y$z"q\\', '--standby'],
    stopMs: 10_000,
    wantedBy: 'default.target',
  })
  assert.match(text, /^Description=node 100%%$/m)
  const words = String.raw`/usr/bin/node "/opt/a b/main.js" --name "x%%y$$z\"q\\" --standby`
  assert.ok(text.includes(`ExecStart=${words}\n`), text)
  assert.match(text, /^TimeoutStopSec=20$/m)
  assert.match(text, /^WantedBy=default.target$/m)
})

test('options of the environment last; secrets are none', () => {
  const environment = {
    WALCAST_LISTEN: '10.0.0.2:4001',
    WALCAST_STANDBY: 'true',
    WALCAST_TLS: 'false',
    WALCAST_SECRET: 'a secret of sixteen characters and more',
    WALCAST_TOKEN: 'wct_0',
  }
  const args = lastingArguments(['--db', 'a.db', '--config', 'a.toml'], environment)
  assert.deepEqual(args, [
    ...['--db', `${process.cwd()}/a.db`, '--listen', '10.0.0.2:4001', '--standby'],
    ...['--config', `${process.cwd()}/a.toml`],
  ])
})

labTest('walcast join --systemd writes a unit that systemd takes, and no secret', async (lab) => {
  const leader = await startLeader(lab)
  const config = { XDG_CONFIG_HOME: lab.path('config') }
  const args = await joinArguments(lab, await pair(lab, leader), 'a')
  const joining = [...args, '--systemd', '--name', 'node-b']
  const { code, out, err } = await runAsUser(lab, joining, config)
  assert.equal(code, 0, err)
  const path = /wrote (\S+); start the node/.exec(err)?.[1] ?? ''
  assert.equal(path, lab.path('config/systemd/user/walcast-node-b.service'))
  const text = readFileSync(path, 'utf8')
  assert.equal(statSync(path).mode & 0o777, 0o644)
  const end = ['node', '--db', args[3], '--listen', args[5], '--name', 'node-b', '--tls'].join(' ')
  assert.ok(text.includes(`/main.js ${end}\n`), text)
  assert.match(
    out,
    /^systemctl --user daemon-reload\nsystemctl --user enable --now walcast-node-b$/,
  )
  const { secrets } = Object(trustOf(args[3]))
  assert.ok(!text.includes(secrets[0].secret) && !text.includes(args[1]))
  if (existsSync(ANALYZE)) execFileSync(ANALYZE, ['verify', path])

  // The same again changes nothing; another one is not overwritten.
  assert.equal((await runAsUser(lab, joining, config)).code, 0)
  const other = await runAsUser(lab, [...joining, '--standby'], config)
  assert.match(other.err, /WALCAST_UNIT_EXISTS/)
  assert.equal(readFileSync(path, 'utf8'), text)
  const node = lab.cli(['node', ...args.slice(2)], config)
  await node.errorLine((line) => line.includes('"msg":"running"'))
  await node.stop()
})
