/** `walcast witness`: what it prints runs as it is, against the real etcd. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { freePortRow } from '../../src/cli/freePorts.ts'
import { nodeOptions } from '../../src/cli/nodeArguments.ts'
import { runWitness } from '../../src/cli/witness.ts'
import { WalcastError } from '../../src/errors.ts'
import type { LeaseService } from '../../src/roles/election/leaseService.ts'
import { leaseServiceOf } from '../../src/roles/election/openLeaseService.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

const ANALYZE = '/usr/bin/systemd-analyze'

interface Printed {
  readonly script: string
  readonly unit: string
  /** The command of the unit. */
  readonly command: readonly string[]
}

async function witness(lab: Lab, ...args: readonly string[]) {
  const child = lab.cli(['witness', ...args])
  child.expectEnd()
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

function printed(script: string): Printed {
  const unit = /^cat >\S+ <<'UNIT'\n(.*?)^UNIT$/ms.exec(script)?.[1] ?? ''
  const start = /^ExecStart=((?:.*\\\n)*.*)$/m.exec(unit)?.[1] ?? ''
  return { script, unit, command: start.split(/ \\\n +/) }
}

/** The words that the script gives to a node. */
function wordsFor(script: string, node: string): readonly string[] {
  return new RegExp(`Then start ${node} .*\n#   (.*)$`, 'm').exec(script)?.[1].split(' ') ?? []
}

/** The lock service that a node with these words has. `folder`: where its certificates are. */
function serviceOf(words: readonly string[], folder: string): LeaseService {
  const there = words.map((word) => word.replace('/etc/walcast-election', folder))
  const options = nodeOptions('node', ['--db', 'a.db', '--listen', '127.0.0.1:1', ...there], {})
  const open = leaseServiceOf(options, {})
  assert.ok(open)
  return open({ node: 'node-b', prefix: 'walcast/a', ttlMs: 1000, timeoutMs: 2000 })
}

labTest('the unit that it prints is an etcd that only its nodes reach', async (lab) => {
  const port = await freePortRow(2)
  const [made, data] = [lab.path('made'), lab.path('data')]
  const given = ['--listen', `127.0.0.1:${port}`, '--make-certificates', made]
  const { code, out, err } = await witness(lab, ...given)
  assert.equal(code, 0, err)
  assert.match(err, /carry each of its folders to its machine: witness, node-a, node-b/)
  const { script, unit, command } = printed(out)
  execFileSync('sh', ['-n'], { input: script })
  // No key is printed.
  assert.doesNotMatch(out, /PRIVATE|BEGIN/)

  // As systemd sees it, with a program that is there.
  const path = lab.path('walcast-witness.service')
  writeFileSync(path, unit.replace(/^ExecStart=\S+/m, `ExecStart=${process.execPath}`))
  if (existsSync(ANALYZE)) execFileSync(ANALYZE, ['verify', path])

  const here = (text: string) =>
    text
      .replaceAll('/etc/walcast-witness', `${made}/witness`)
      .replaceAll('/var/lib/walcast-witness', data)
  mkdirSync(data, { mode: 0o700 })
  const [program, ...args] = command.map(here)
  assert.equal(program, '/usr/bin/etcd')
  lab.spawn('etcd', 'etcd', args)
  const words = wordsFor(script, 'node-b')
  assert.deepEqual(words.slice(0, 4), ['--election', 'etcd', '--etcd', `https://127.0.0.1:${port}`])
  const service = serviceOf(words, `${made}/node-b`)
  lab.atEnd(() => service.close())
  await until('etcd answers', () => service.look().catch(() => undefined))
  await service.probe()
  const lease = await service.take((await service.look()).mark, 'node-b leads')
  // No shorter one is granted.
  assert.equal(lease?.ttlMs, 2000)

  // Another authority's, of which etcd knows nothing, and which knows nothing of etcd.
  const others = lab.path('others')
  await witness(lab, ...given.slice(0, 3), others)
  cpSync(`${made}/node-b/ca.crt`, `${others}/node-b/ca.crt`)
  for (const folder of [`${others}/node-a`, `${others}/node-b`]) {
    const stranger = serviceOf(words, folder)
    lab.atEnd(() => stranger.close())
    await assert.rejects(stranger.look(), { key: 'ELECTION_AWAY' })
  }
  const nameless = serviceOf(words.slice(0, 6), `${made}/node-b`)
  lab.atEnd(() => nameless.close())
  await assert.rejects(nameless.look(), { key: 'ELECTION_AWAY' })
})

labTest('certificates are never overwritten, and mistakes make nothing', async (lab) => {
  const listen = ['--listen', '10.0.0.3:2379']
  const made = ['--make-certificates', lab.path('made')]
  const first = await witness(lab, ...listen, ...made, '--nodes', 'db-1,db-2,db-3')
  assert.match(first.out, /On the machine of db-3,/)
  assert.match(first.out, /^CapabilityBoundingSet=$/m)
  const low = await witness(lab, '--listen', '[fd00::3]:443', '--dir', '/srv/witness')
  assert.match(low.out, /^CapabilityBoundingSet=CAP_NET_BIND_SERVICE$/m)
  assert.match(low.out, /--listen-client-urls=https:\/\/\[fd00::3\]:443 /)
  assert.match(low.out, /^ReadWritePaths=\/srv\/witness$/m)
  const before = readFileSync(lab.path('made/db-3/node.key'))
  const again = await witness(lab, ...listen, ...made)
  assert.equal(again.code, 2)
  assert.match(again.err, /is there, and no certificate is overwritten/)
  assert.deepEqual(readFileSync(lab.path('made/db-3/node.key')), before)
  const free = ['--make-certificates', lab.path('free')]
  const refused: string[][] = [
    ['address', ...free],
    ['address', '--listen', '0.0.0.0:2379', ...free],
    ['address', '--listen', 'witness.example.com:2379', ...free],
    ['address', '--listen', '10.0.0.3:0', ...free],
    ['whole, plain path', ...listen, ...free, '--dir', 'data'],
    ['whole, plain path', ...listen, ...free, '--dir', '/var/lib/a b'],
    ['whole, plain path', ...listen, ...free, '--dir', '/home/me/etcd'],
    ['whole, plain path', ...listen, ...free, '--dir', '/var/../etc'],
    ['ids of the nodes', ...listen, ...free, '--nodes', 'a,a'],
    ['ids of the nodes', ...listen, ...free, '--nodes', 'a,../b'],
    ['ids of the nodes', ...listen, ...free, '--nodes', 'a,..'],
    ['ids of the nodes', ...listen, ...free, '--nodes', 'a,witness'],
    ['new folder', ...listen, '--make-certificates='],
    ['new folder', ...listen, '--make-certificates', '/'],
  ]
  for (const [text, ...args] of refused)
    await assert.rejects(runWitness(args), (error: unknown) => {
      assert.ok(error instanceof WalcastError && error.key === 'USAGE', args.join(' '))
      assert.match(error.message, new RegExp(text), args.join(' '))
      return true
    })
  assert.deepEqual(readdirSync(lab.folder), ['made'])
})
