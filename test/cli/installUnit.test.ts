/** The systemd units that `walcast systemd` and `walcast join --systemd` write. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { test } from 'node:test'
import { freePort } from '../../src/cli/freePorts.ts'
import { lastingArguments } from '../../src/cli/nodeArguments.ts'
import { lastingRunArguments } from '../../src/cli/runArguments.ts'
import { unitText } from '../../src/cli/systemdUnit.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { joinArguments, pair, startLeader, trustOf } from '../support/pairing.ts'
import { CLI } from '../support/paths.ts'
import { makeEtc } from '../support/twoHosts.ts'
import { makeDatabase } from '../support/workload.ts'

const ANALYZE = '/usr/bin/systemd-analyze'
/** The user `nobody` of any Linux. */
const NOBODY = 65534
const UNITS = 'etc/systemd/system'

function requireTaken(path: string): void {
  if (existsSync(ANALYZE)) execFileSync(ANALYZE, ['verify', path])
}

/** Runs a command as somebody else than root, so that no unit of the system is written. */
async function runAsUser(lab: Lab, args: readonly string[], environment: Record<string, string>) {
  const user = process.geteuid?.() === 0 ? ['unshare', '--user', '--map-user=1000'] : []
  return runBehind(lab, user, args, environment)
}

/** Runs a command as root, with an `/etc` of the test's own. */
function runAsRoot(lab: Lab, args: readonly string[], environment: Record<string, string> = {}) {
  const user = process.geteuid?.() === 0 ? [] : ['--user', '--map-root-user']
  if (!existsSync(lab.path('etc'))) makeEtc(lab.path('etc'))
  const mount = `mount --bind "${lab.path('etc')}" /etc && exec "$@"`
  return runBehind(lab, ['unshare', ...user, '--mount', 'sh', '-c', mount, 'sh'], args, environment)
}

async function runBehind(
  lab: Lab,
  before: readonly string[],
  args: readonly string[],
  environment: Record<string, string>,
) {
  const [file, ...words] = [...before, process.execPath, CLI, ...args]
  const child = lab.spawn(`walcast ${args[0]}`, file, words, environment)
  child.expectEnd()
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

test('words of a command reach the program as they are', () => {
  const text = unitText({
    description: 'node 100%',
    command: ['/usr/bin/node', '/opt/a b/main.js', '--name', 'x%y$z"q\\', 'a\nb', '-x'],
    environment: ['A=50% $x y'],
    folder: '/srv/50%',
    stopMs: 10_000,
    wantedBy: 'default.target',
  })
  assert.match(text, /^Description=node 100%%$/m)
  const words = String.raw`/usr/bin/node "/opt/a b/main.js" --name "x%%y$$z\"q\\" "a\x0ab" -x`
  assert.ok(text.includes(`ExecStart=${words}\n`), text)
  assert.match(text, /^Environment="A=50%% \$x y"$/m)
  assert.match(text, /^WorkingDirectory=\/srv\/50%%$/m)
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

test('places of archives and snapshots are the same from every folder', () => {
  const bucket = 's3://my-backups/app?region=eu-central-1'
  const args = lastingArguments(['--backup', `backups/app,${bucket}`, '--snapshot-to', 'snaps'], {})
  const here = process.cwd()
  assert.deepEqual(args, [
    ...['--backup', `${here}/backups/app,${bucket}`, '--snapshot-to', `${here}/snaps`],
  ])
})

test('options of walcast run last; the application is found as a shell finds it', () => {
  const environment = { PATH: '/nowhere:/bin', WALCAST_PORTS: '3000', WALCAST_RESTART: 'always' }
  const args = ['--db', '/srv/a.db', '--restart=never', '--', 'sh', '-c', 'x', '--', 'y']
  assert.deepEqual(lastingRunArguments(args, environment), [
    ...['--db', '/srv/a.db', '--ports', '3000', '--restart', 'never'],
    ...['--', '/bin/sh', '-c', 'x', '--', 'y'],
  ])
  const missing = ['--db', '/srv/a.db', '--', './no such program']
  assert.throws(() => lastingRunArguments(missing, environment), { key: 'USAGE' })
})

labTest('walcast join --systemd writes a unit that systemd takes, and no secret', async (lab) => {
  const leader = await startLeader(lab)
  const config = { XDG_CONFIG_HOME: lab.path('config') }
  const args = await joinArguments(lab, await pair(lab, leader), 'a')
  const joining = [...args, '--systemd', '--name', 'node-b']
  const { code, out, err } = await runAsUser(lab, joining, config)
  assert.equal(code, 0, err)
  const path = /wrote (\S+); start the node/.exec(err)?.[1] ?? ''
  assert.equal(path, lab.path('config/systemd/user/walcast-a.service'))
  const text = readFileSync(path, 'utf8')
  assert.equal(statSync(path).mode & 0o777, 0o644)
  const end = ['node', '--db', args[3], '--listen', args[5], '--name', 'node-b', '--tls'].join(' ')
  assert.ok(text.includes(`/main.js ${end}\n`), text)
  assert.match(out, /^systemctl --user daemon-reload\nsystemctl --user enable --now walcast-a$/)
  const { secrets } = Object(trustOf(args[3]))
  assert.ok(!text.includes(secrets[0].secret) && !text.includes(args[1]))
  requireTaken(path)

  // The same again changes nothing; another one is not overwritten.
  assert.equal((await runAsUser(lab, joining, config)).code, 0)
  const other = await runAsUser(lab, [...joining, '--standby'], config)
  assert.match(other.err, /WALCAST_UNIT_EXISTS/)
  assert.equal(readFileSync(path, 'utf8'), text)
  const node = lab.cli(['node', ...args.slice(2)], config)
  await node.errorLine((line) => line.includes('"msg":"running"'))
  await node.stop()
})

labTest('walcast systemd writes what was typed, and nothing that would not start', async (lab) => {
  const config = { XDG_CONFIG_HOME: lab.path('config'), WALCAST_STOP_TIMEOUT: '40s' }
  const db = lab.path('shop.sqlite3')
  await makeDatabase(lab, db)
  const node = ['--db', db, '--listen', '127.0.0.1:8470', '--proxy', '127.0.0.1:80']
  const app = ['--ports', '3000,3001', '--', process.execPath, 'app.mjs', 'two words']
  const path = lab.path('config/systemd/user/walcast-shop.service')
  const refuse = async (
    why: RegExp,
    args: readonly string[],
    more: Record<string, string> = {},
  ) => {
    const { code, out, err } = await runAsUser(lab, ['systemd', ...args], { ...config, ...more })
    assert.match(err, why)
    assert.deepEqual([code === 0, out, existsSync(path)], [false, '', false])
  }
  await refuse(/^WALCAST_USAGE: a unit runs/, ['leader', ...node])
  await refuse(/^WALCAST_USAGE: run takes a command/, ['run', ...node])
  await refuse(/^WALCAST_USAGE: node takes no command/, ['node', ...node, ...app])
  await refuse(/^WALCAST_USAGE: --soft-wal/, [...node, '--soft-wal', '9', '--hard-wal', '8'])
  await refuse(/exclude each other/, ['--upstream', 'http://127.0.0.1:1', ...node, ...app])
  await refuse(/^WALCAST_USAGE: --unit wants/, ['--unit', 'a b', ...node])
  await refuse(/^WALCAST_DB_MISSING/, ['--db', lab.path('typo.db'), '--listen', '127.0.0.1:8470'])
  const secret = 'a secret of sixteen characters'
  await refuse(/WALCAST_SECRET_FILE in place/, node, { WALCAST_SECRET: secret })
  const password = { WALCAST_ELECTION_PASSWORD: 'of etcd' }
  await refuse(/WALCAST_ELECTION_PASSWORD_FILE in place/, node, password)

  const { code, out, err } = await runAsUser(lab, ['systemd', 'run', ...node, ...app], config)
  assert.equal(code, 0, err)
  assert.match(out, /^systemctl --user daemon-reload\nsystemctl --user enable --now walcast-shop$/)
  const text = readFileSync(path, 'utf8')
  const typed = [...node, '--ports', '3000,3001', '--stop-timeout', '40s', '--', process.execPath]
  assert.ok(text.includes(`/main.js run ${typed.join(' ')} app.mjs "two words"\n`), text)
  assert.ok(text.includes(`WorkingDirectory=${process.cwd()}\n`), text)
  assert.match(text, /^TimeoutStopSec=60$/m)
  assert.doesNotMatch(text, /^(User|AmbientCapabilities)=/m)
  requireTaken(path)
  const named = await runAsUser(lab, ['systemd', '--unit', 'other', ...node], config)
  assert.match(named.out, /enable --now other$/, named.err)
  assert.ok(!existsSync(`${db}-walcast`), 'it makes nothing of a node')
})

labTest('a unit by root runs as the owner of the database, who owns all of it', async (lab) => {
  assert.equal(process.geteuid?.(), 0, 'this acts for another user: run it as root')
  chmodSync(lab.folder, 0o755)
  const leader = await startLeader(lab)
  const folder = lab.path('app')
  mkdirSync(folder)
  chownSync(folder, NOBODY, NOBODY)
  const [join, code, dbFlag, , ...others] = await joinArguments(lab, await pair(lab, leader), 'a')
  const db = `${folder}/app.db`
  const listen = ['--proxy', `127.0.0.1:80`, ...others]
  const joining = [join, code, dbFlag, db, ...listen, '--systemd', '--', process.execPath, 'x.mjs']
  const joined = await runAsRoot(lab, joining)
  assert.equal(joined.code, 0, joined.err)
  const name = /^User=(\S+)$/m.exec(
    readFileSync(lab.path(`${UNITS}/walcast-app.service`), 'utf8'),
  )?.[1]
  assert.ok(name)
  assert.ok(joined.err.includes(`the unit runs as ${name}, who owns ${folder} in `), joined.err)
  assert.match(joined.out, /^systemctl daemon-reload\nsystemctl enable --now walcast-app$/)
  const text = readFileSync(lab.path(`${UNITS}/walcast-app.service`), 'utf8')
  assert.match(text, /^AmbientCapabilities=CAP_NET_BIND_SERVICE$/m)
  assert.match(text, /^WantedBy=multi-user.target$/m)
  requireTaken(lab.path(`${UNITS}/walcast-app.service`))
  for (const file of ['', '/node.json', '/keys', '/keys/cluster.json', '/keys/node.key'])
    assert.equal(statSync(`${db}-walcast${file}`).uid, NOBODY, file)

  // What root has left there would keep the node from starting.
  const other = lab.path('app/other.db')
  await makeDatabase(lab, other)
  chownSync(other, NOBODY, NOBODY)
  const port = await freePort()
  const systemd = ['systemd', '--db', other, '--listen', `127.0.0.1:${port}`]
  mkdirSync(`${other}-walcast`, { mode: 0o700 })
  const refused = await runAsRoot(lab, systemd)
  assert.match(
    refused.err,
    /^WALCAST_UNIT_USER: .*other\.db-walcast belongs to another user \(chown/,
  )
  chownSync(`${other}-walcast`, NOBODY, NOBODY)
  const written = await runAsRoot(lab, systemd)
  assert.equal(written.code, 0, written.err)
})
