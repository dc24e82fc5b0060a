/** `walcast run` as a process: the node and its application live and end together. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { freePort } from '../../src/cli/freePorts.ts'
import { runArguments } from '../../src/cli/runArguments.ts'
import type { Child } from '../support/child.ts'
import { type Lab, labTest } from '../support/lab.ts'

/** Prints its environment, obeys commands on standard input, and reports SIGTERM. */
const APPLICATION = `
  const { WALCAST_ROLE: role, WALCAST_EPOCH: epoch, WALCAST_DB: db } = process.env
  const { WALCAST_NODE_URL: url, WALCAST_SECRET: secret } = process.env
  process.on('SIGTERM', async () => {
    const { status } = await fetch(url + '/livez')
    console.log(JSON.stringify({ bye: process.pid, status }))
    process.exit(9)
  })
  process.stdin.on('data', (text) => {
    const [what, value] = String(text).trim().split(' ')
    if (what === 'exit') process.exit(Number(value))
    if (what === 'kill') process.kill(process.pid, value)
  })
  const readiness = role === 'leader' ? '/readyz' : '/livez'
  const { status } = await fetch(url + readiness)
  console.log(JSON.stringify({ up: process.pid, role, epoch, url, status, secret, db }))
  setInterval(() => {}, 1000)
`

async function database(lab: Lab): Promise<string> {
  const db = lab.path('app.db')
  await lab.exec(db, 'PRAGMA journal_mode = wal', 'CREATE TABLE t (v)', 'INSERT INTO t VALUES (1)')
  return db
}

async function run(lab: Lab, flags: readonly string[], environment: Record<string, string> = {}) {
  const program = lab.path('application.mjs')
  writeFileSync(program, APPLICATION)
  const listen = `127.0.0.1:${await freePort()}`
  const child = lab.cli(
    ['run', '--listen', listen, ...flags, '--', process.execPath, program],
    environment,
  )
  return { child, listen }
}

async function said(child: Child, key: string, from = 0) {
  const { at, text } = await child.line((line) => line.startsWith(`{"${key}"`), from)
  return { at, value: JSON.parse(text) }
}

labTest('the application starts when the leader is ready, and ends before it', async (lab) => {
  const db = await database(lab)
  const secret = 'a secret of twenty chars'
  const { child, listen } = await run(lab, ['--db', db], { WALCAST_SECRET: secret })
  const { value } = await said(child, 'up')
  const url = `http://${listen}`
  assert.deepEqual(value, { up: value.up, role: 'leader', epoch: '1', url, status: 200, db })
  assert.deepEqual(await child.stop('SIGTERM'), { code: 0, signal: null })
  const { value: bye } = await said(child, 'bye')
  assert.equal(bye.status, 200, 'the node was still there')
  assert.ok(!child.err.join('\n').includes(secret))
})

labTest('when the application exits, the node exits with the same code', async (lab) => {
  const db = await database(lab)
  for (const [command, code] of [
    ['exit 0', 0],
    ['exit 7', 7],
    ['kill SIGKILL', 137],
  ] as const) {
    const { child } = await run(lab, ['--db', db])
    await said(child, 'up')
    child.expectEnd()
    child.write(command)
    assert.deepEqual(await child.ended, { code, signal: null }, command)
  }
})

labTest('--restart starts the application again', async (lab) => {
  const { child } = await run(lab, ['--db', await database(lab), '--restart=on-failure'])
  const first = await said(child, 'up')
  child.write('exit 3')
  const second = await said(child, 'up', first.at + 1)
  assert.notEqual(second.value.up, first.value.up)
  child.expectEnd()
  child.write('exit 0')
  assert.equal((await child.ended).code, 0)
})

labTest('the application of a replica starts once its copy is complete', async (lab) => {
  const db = await database(lab)
  const port = await freePort()
  const { child } = await run(lab, ['--db', lab.path('copy.db'), '--leader', `127.0.0.1:${port}`])
  await child.errorLine((line) => line.includes('"msg":"running"'))
  assert.deepEqual(child.out, [])
  await lab.leader(db, { port })
  const { value } = await said(child, 'up')
  assert.equal(value.role, 'replica')
  assert.equal((await child.stop('SIGINT')).code, 0)
})

labTest('a command that cannot run, and wrong arguments, are one line', async (lab) => {
  const db = await database(lab)
  const listen = `127.0.0.1:${await freePort()}`
  const missing = lab.cli(['run', '--db', db, '--listen', listen, '--', '/no/such/program'])
  assert.equal((await missing.ended).code, 1)
  assert.match(
    missing.err.at(-1) ?? '',
    /^WALCAST_COMMAND_FAILED: cannot run \/no\/such\/program: /,
  )
  const help = lab.cli(['run', '--help'])
  assert.equal((await help.ended).code, 0)
  assert.match(help.out[0], /^walcast run --db FILE/)
  for (const args of [
    ['--db', db],
    ['--db', db, '--'],
    ['--db', db, '--restart', 'sometimes', '--', 'true'],
    ['--db', db, '--farce', '--', 'true'],
    ['--', 'true', '--db', db],
  ]) {
    const child = lab.cli(['run', ...args])
    assert.equal((await child.ended).code, 2, args.join(' '))
    assert.match(child.err.join('\n'), /^WALCAST_USAGE: [^\n]*$/)
  }
})

test('run takes its own flags, gives the node the rest, and leaves the command unchanged', () => {
  const args = [
    '--db',
    'a',
    '--role-change=signal',
    '--restart',
    'always',
    '--',
    'app',
    '--restart',
    '--',
    '-x',
  ]
  const { rules, nodeArguments, command } = runArguments(args, {
    WALCAST_ROLE_SIGNAL: 'HUP',
    WALCAST_STOP_TIMEOUT: '3s',
    WALCAST_RESTART: 'never',
  })
  assert.deepEqual(nodeArguments, ['--db', 'a'])
  assert.deepEqual(command, ['app', '--restart', '--', '-x'])
  const { onRoleChange, roleSignal, restart, stopTimeoutMs } = rules
  assert.deepEqual(
    [onRoleChange, roleSignal, restart, stopTimeoutMs],
    ['signal', 'SIGHUP', 'always', 3000],
  )
  for (const bad of [
    ['--role-change', 'maybe'],
    ['--role-signal', 'SIGNAL'],
    ['--stop-timeout', '5'],
    ['--restart'],
  ])
    assert.throws(() => runArguments([...bad, '--', 'app'], {}), { key: 'USAGE' }, bad.join(' '))
})
