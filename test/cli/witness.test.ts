/** `walcast witness`: what it prints runs as it is, against the real etcd. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'undici'
import { freePortRow } from '../../src/cli/freePorts.ts'
import { runWitness } from '../../src/cli/witness.ts'
import { WalcastError } from '../../src/errors.ts'
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

/** Options that the script names for a node, by flag. */
function optionsOf(script: string, node: string): Readonly<Record<string, string>> {
  const line = new RegExp(`Then start ${node} .*\n#   (.*)$`, 'm').exec(script)?.[1] ?? ''
  return Object.fromEntries(
    [...line.matchAll(/--(\S+) (\S+)/g)].map(([, flag, value]) => [flag, value]),
  )
}

/** Asks the JSON gateway; gives the status, or what went wrong. */
async function ask(
  url: string,
  path: string,
  body: object,
  tls: Readonly<Record<string, Buffer>>,
): Promise<{ readonly status: number; readonly answer: unknown }> {
  const dispatcher = new Agent({ connect: tls })
  try {
    const given = { method: 'POST', body: JSON.stringify(body), dispatcher } as const
    const { statusCode, body: answer } = await request(`${url}/v3/${path}`, given)
    return { status: statusCode, answer: await answer.json() }
  } finally {
    await dispatcher.destroy()
  }
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
  const options = optionsOf(script, 'node-b')
  assert.deepEqual([options['election'], options['etcd']], ['etcd', `https://127.0.0.1:${port}`])
  const fileOf = (flag: string) =>
    readFileSync(options[flag].replace('/etc/walcast-election', `${made}/node-b`))
  const [ca, cert, key] = ['election-ca', 'election-cert', 'election-key'].map(fileOf)
  const url = options['etcd']
  const grant = (tls: Readonly<Record<string, Buffer>>) => ask(url, 'lease/grant', { TTL: 2 }, tls)
  const { answer } = await until('etcd answers', async () => {
    const asked = await grant({ ca, cert, key }).catch(() => undefined)
    return asked?.status === 200 ? asked : undefined
  })
  // No shorter one is granted, so the least of walcast's --ttl must not be longer.
  assert.equal(Object(answer).TTL, '2')
  await assert.rejects(grant({ ca }), 'without a certificate')
  await witness(lab, ...given.slice(0, 3), lab.path('others'))
  const other = (name: string) => readFileSync(lab.path(`others/node-b/${name}`))
  await assert.rejects(grant({ ca, cert: other('node.crt'), key: other('node.key') }))
  await assert.rejects(grant({ ca: other('ca.crt'), cert, key }), 'another witness')
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
