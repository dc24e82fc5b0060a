/** Two hosts become a cluster with one pasted command; nobody else becomes a part of it. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer as createTcpServer } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { freePort } from '../../src/cli/freePorts.ts'
import { makeKeys } from '../../src/security/nodeKeys.ts'
import { formatPairingCode, parsePairingCode } from '../../src/security/pairingCode.ts'
import { type Lab, labTest, requireSame, waitLevel } from '../support/lab.ts'
import {
  joinArguments,
  joined,
  pair,
  run,
  startLeader,
  statusOf,
  trustOf,
} from '../support/pairing.ts'
import { PROGRAMS } from '../support/paths.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const CLOCK = { NODE_OPTIONS: `--import ${PROGRAMS}/shiftedClock.js` }
const LATER = { NODE_OPTIONS: `--import ${PROGRAMS}/laterClock.js` }
const HOUR_MS = 3_600_000

/** The join fails with this code, and leaves no member and no secret behind. */
async function refused(
  lab: Lab,
  args: readonly string[],
  code: string,
  environment: Record<string, string> = {},
): Promise<string> {
  const { code: exit, out, err } = await run(lab, args, environment)
  assert.match(err, new RegExp(`^WALCAST_${code}: .+; .+$`, 'm'))
  assert.equal(out, '')
  assert.ok(exit === 1 || exit === 2)
  assert.ok(!existsSync(`${args[3]}-walcast/keys/cluster.json`), 'it has no secret')
  return err
}

labTest('from nothing to a level replica, with two commands', async (lab) => {
  const leader = await startLeader(lab)
  assert.equal(leader.logged('made a secret for this cluster').length, 1)
  const args = await joinArguments(lab, await pair(lab, leader), 'a')
  const replica = await joined(lab, args)
  const folder = `${replica.db}-walcast/keys`
  for (const name of ['cluster.json', 'node.key'])
    assert.equal(statSync(`${folder}/${name}`).mode & 0o777, 0o600, name)
  const record = JSON.parse(readFileSync(`${folder}/cluster.json`, 'utf8'))
  const theirs = JSON.parse(readFileSync(`${leader.db}-walcast/keys/cluster.json`, 'utf8'))
  assert.deepEqual(record.secrets, theirs.secrets)
  assert.equal(record.secrets[0].secret.length, 64)
  assert.deepEqual(record.keks, theirs.keks)
  assert.equal(record.members.length, 2)
  const said = [...leader.child.err, ...replica.child.err].join('\n')
  for (const secret of [record.secrets[0].secret, record.keks[0].key, args[1]])
    assert.ok(!said.includes(secret), 'no log has a secret')
  await lab.exec(leader.db, "INSERT INTO log (who) VALUES ('late')")
  await until('it follows', async () => {
    const [a, b] = await Promise.all([statusOf(lab, leader), statusOf(lab, replica)])
    return a.txid === b.txid && a.checksum === b.checksum
  })

  // A third node joins by way of the replica, and all three come to know it.
  const third = await joined(lab, await joinArguments(lab, await pair(lab, replica), 'b'))
  const { node } = await statusOf(lab, third)
  await until('all know the third', async () => {
    const all = await Promise.all([leader, replica, third].map(({ db }) => trustOf(db)))
    return all.every(({ members }) => members.length === 3 && members.some((m) => m.node === node))
  })
  assert.equal((await statusOf(lab, third)).leader, (await statusOf(lab, leader)).node)

  // The node starts again as any other, without a secret in its environment.
  await replica.stop()
  const again = await lab.node(replica.db, { port: replica.options.port, flags: ['--tls'] })
  await until('it is back', async () => (await statusOf(lab, again)).state === 'streaming')
  const audit = await run(lab, ['audit', '--db', leader.db, '--json'])
  const entries = audit.out.split('\n').map((line) => Object(JSON.parse(line)))
  assert.deepEqual(
    entries.filter(({ action }) => action !== 'start').map((e) => `${e.action} ${e.outcome}`),
    ['pair done', 'join done'],
  )
  assert.equal(await leader.metric('walcast_pairings_total', 'joined'), 1)
})

labTest('commands at one member reach the others without a secret of their own', async (lab) => {
  const leader = await startLeader(lab)
  const replica = await joined(lab, await joinArguments(lab, await pair(lab, leader), 'a'))
  const { node } = await statusOf(lab, leader)
  const asked = await run(lab, ['status', node, '--db', replica.db, '--json'])
  assert.equal(asked.code, 0, asked.err)
  assert.equal(JSON.parse(asked.out).role, 'leader')
  const moved = await run(lab, ['switchover', '--db', replica.db])
  assert.equal(moved.code, 0, moved.err)
  const rehearsed = await run(lab, ['rehearse', '--db', leader.db])
  assert.equal(rehearsed.code, 0, rehearsed.err)
  assert.equal((await statusOf(lab, leader)).role, 'replica')
  // An address that was typed is another matter.
  const typed = await run(lab, ['status', replica.address])
  assert.match(typed.err, /^WALCAST_TLS_WANTED/)
})

labTest('a host that joins with a command goes on as walcast run', async (lab) => {
  const leader = await startLeader(lab)
  const args = await joinArguments(lab, await pair(lab, leader), 'a')
  const script = 'echo "up as $WALCAST_ROLE"; exec sleep infinity'
  const child = lab.cli([...args, '--', 'sh', '-c', script])
  await child.errorLine((line) => line.includes('level with the leader'))
  await child.line((line) => line === 'up as replica')
  assert.equal((await child.stop()).code, 0)
  const [, code] = await joinArguments(lab, await pair(lab, leader), 'b')
  const contrary = ['--ports', '3000', '--upstream', 'http://127.0.0.1:1', '--', 'true']
  const refusedArgs = ['join', code, '--db', lab.path('b.db'), '--listen', '127.0.0.1:1']
  await refused(lab, [...refusedArgs, ...contrary], 'USAGE')
})

labTest('a code is good once, for one host, however many ask at the same moment', async (lab) => {
  const leader = await startLeader(lab)
  const code = await pair(lab, leader)
  const names = ['a', 'b', 'c']
  const all = await Promise.all(names.map((name) => joinArguments(lab, code, name)))
  const children = all.map((args) => lab.cli(args))
  const outcomes = await Promise.all(
    children.map(async (child) => {
      const { text } = await child.errorLine((line) => /joined the cluster|WALCAST_/.test(line))
      return text.includes('WALCAST_PAIRING_CODE_USED') ? 'used' : text
    }),
  )
  assert.equal(outcomes.filter((text) => text === 'used').length, 2, outcomes.join('\n'))
  for (const [at, child] of children.entries()) {
    child.expectEnd()
    const isIn = outcomes[at] !== 'used'
    assert.equal(existsSync(`${all[at][3]}-walcast/keys/cluster.json`), isIn)
    if (isIn) await child.stop()
  }
  assert.equal(trustOf(leader.db).members.length, 2)
  await refused(lab, await joinArguments(lab, code, 'd'), 'PAIRING_CODE_USED')
  // The same host may ask again: a crash may have cut it short.
  const at = outcomes.findIndex((text) => text !== 'used')
  await joined(lab, all[at])
})

labTest('a wrong, altered, expired or ended code is refused with the reason', async (lab) => {
  const leader = await startLeader(lab, LATER)
  const code = await pair(lab, leader)
  const known = parsePairingCode(code)
  const args = await joinArguments(lab, code, 'a')
  const withCode = (text: string) => ['join', text, ...args.slice(2)]
  // Each single byte is tried by the tests of the code; here, some by the command.
  for (const at of [0, 2, 40, 90, code.length - 1]) {
    const other = ALPHABET[(ALPHABET.indexOf(code[at]) + 1) % ALPHABET.length]
    const altered = code.slice(0, at) + other + code.slice(at + 1)
    await refused(lab, withCode(altered), 'PAIRING_CODE_BAD')
  }
  assert.equal(await leader.metric('walcast_pairings_total', 'wrong'), 0)
  const otherSecret = formatPairingCode({ ...known, secret: Buffer.alloc(16) })
  const otherId = formatPairingCode({ ...known, id: '00000000' })
  const otherKey = formatPairingCode({ ...known, fingerprint: 'ab'.repeat(32) })
  await refused(lab, withCode(otherKey), 'PAIRING_OTHER_NODE')
  await refused(lab, withCode(otherId), 'PAIRING_CODE_WRONG')
  await refused(lab, args, 'PAIRING_CLOCK', { ...CLOCK, TEST_CLOCK_SHIFT_MS: `${HOUR_MS}` })
  await refused(lab, args, 'PAIRING_CLOCK', { ...CLOCK, TEST_CLOCK_SHIFT_MS: `-${HOUR_MS}` })
  for (let tries = 0; tries < 5; tries++)
    await refused(lab, withCode(otherSecret), 'PAIRING_CODE_WRONG')
  await refused(lab, args, 'PAIRING_CODE_ENDED')
  assert.equal(await leader.metric('walcast_pairings_total', 'wrong'), 6)
  assert.equal(await leader.metric('walcast_pairings_total', 'clock'), 2)

  const late = await joinArguments(lab, await pair(lab, leader), 'a')
  leader.kill('SIGUSR2')
  await leader.child.errorLine((line) => line.includes('the clock moved'))
  await refused(lab, late, 'PAIRING_CODE_EXPIRED')
  assert.equal(trustOf(leader.db).members.length, 1, 'nobody became a member')
})

labTest('what can be told on this host is told before anything is sent', async (lab) => {
  const leader = await startLeader(lab)
  const code = await pair(lab, leader)
  const [, , , , , listen] = await joinArguments(lab, code, 'a')
  const join = (db: string, at = listen, text = code) => ['join', text, '--db', db, '--listen', at]
  const plain = lab.path('plain.db')
  await makeDatabase(lab, plain)
  await refused(lab, join(plain), 'NOT_A_COPY')
  await refused(lab, join(lab.path('a.db'), leader.address), 'JOIN_SELF')
  await refused(lab, join(lab.path('a.db'), '0.0.0.0:4001'), 'USAGE')
  const far = formatPairingCode({ ...parsePairingCode(code), address: '192.0.2.1:4001' })
  const here = await refused(lab, join(lab.path('a.db'), listen, far), 'USAGE')
  assert.match(here, /--advertise/)
  await refused(lab, ['join', '--db', lab.path('a.db')], 'USAGE')
  const leads = lab.path('leads.db')
  await makeDatabase(lab, leads)
  await (await lab.leader(leads)).stop()
  await refused(lab, join(leads), 'JOIN_LEADS')
  const { err } = await run(lab, join(leader.db))
  assert.match(err, /WALCAST_JOIN_LEADS/)
  const other = await refused(lab, join(lab.path('a.db')), 'JOIN_OTHER_SECRET', {
    WALCAST_SECRET: 'a secret of another cluster',
  })
  assert.match(other, /unset it/)
})

labTest('strangers on the way get no word of the secret', async (lab) => {
  const leader = await startLeader(lab)
  const code = await pair(lab, leader)
  const known = parsePairingCode(code)
  const { key, certificate: cert } = makeKeys()
  let heard = 0
  const rogue = createTlsServer({ key, cert, requestCert: true, rejectUnauthorized: false })
  rogue.on('secureConnection', (socket) => {
    socket.on('data', (bytes) => {
      heard += bytes.length
    })
    socket.on('error', () => {})
  })
  const plain = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')
  })
  const old = createTlsServer({ key, cert, maxVersion: 'TLSv1.2' })
  const servers = [rogue, plain, old]
  const codes = ['PAIRING_OTHER_NODE', 'NODE_UNREACHABLE', 'NODE_UNREACHABLE']
  for (const [at, server] of servers.entries()) {
    const port = await freePort()
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    lab.atEnd(() => void server.close())
    server.on('tlsClientError', () => {})
    const there = formatPairingCode({ ...known, address: `127.0.0.1:${port}` })
    await refused(lab, await joinArguments(lab, there, `a${at}`), codes[at])
  }
  assert.equal(heard, 0)

  // Without TLS, without a key, and with TLS 1.2 the node itself takes nothing.
  const { port } = leader.options
  const failed = await new Promise<string>((resolve) => {
    const socket = connectTls({ port, maxVersion: 'TLSv1.2', rejectUnauthorized: false })
    socket.on('error', (error) => resolve(error.message))
    socket.on('secureConnect', () => resolve('secure'))
  })
  assert.match(failed, /version|alert/i)
  const keyless = await leader.post('/_walcast/join', {})
  assert.equal(keyless.status, 400, keyless.text)
})

labTest('a leader that has lost its keys says that nobody follows it any more', async (lab) => {
  const leader = await startLeader(lab)
  const replica = await joined(lab, await joinArguments(lab, await pair(lab, leader), 'a'))
  const { node } = await statusOf(lab, replica)
  await replica.stop()
  await leader.stop()
  assert.equal(leader.logged('do not know').length, 0)
  rmSync(`${leader.db}-walcast/keys`, { recursive: true })
  const alone = await lab.restart(leader)
  const [line] = alone.logged('made a secret that the other nodes do not know')
  assert.ok(line?.includes(node), line)
})

labTest('a cluster with a secret from the environment pairs, in plain text too', async (lab) => {
  const secret = { WALCAST_SECRET: 'a secret of sixteen characters and more' }
  const leader = await startLeader(lab, secret, [])
  const answer = await leader.post('/_walcast/join', {})
  assert.equal(answer.status, 426, 'a join goes over TLS')
  const args = (await joinArguments(lab, await pair(lab, leader), 'a')).slice(0, -1)
  const child = lab.cli(args)
  await child.errorLine((line) => line.includes('level with the leader'))
  const options = { db: args[3], port: Number(args[5].split(':')[1]), environment: secret }
  const replica = lab.nodeOf('node', options, child)
  await waitLevel(leader, replica)
  await requireSame(lab, leader, replica)
})

labTest('without a secret there is nothing to pair with, and it says what to do', async (lab) => {
  const leader = await startLeader(lab, {}, [])
  const { code, out, err } = await run(lab, ['pair', '--db', leader.db])
  assert.deepEqual([code, out], [1, ''])
  assert.match(err, /^WALCAST_PAIRING_WITHOUT_SECRET: .*--tls/)
})
