/** Nodes that join a cluster by a pairing code, as real processes. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { freePort } from '../../src/cli/freePorts.ts'
import type { Lab } from './lab.ts'
import type { TestNode } from './testNode.ts'
import { makeDatabase } from './workload.ts'

/** A leader that has made a secret of its own, and is asked over its control socket. */
export async function startLeader(
  lab: Lab,
  environment: Record<string, string> = {},
  flags: readonly string[] = ['--tls'],
): Promise<TestNode> {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  return lab.leader(db, { environment, flags })
}

/** What a command printed, and its exit code. */
export async function run(
  lab: Lab,
  args: readonly string[],
  environment: Record<string, string> = {},
) {
  const child = lab.cli(args, environment)
  child.expectEnd()
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

/** The code that `walcast pair` prints. */
export async function pair(lab: Lab, node: TestNode): Promise<string> {
  const { code, out, err } = await run(lab, ['pair', '--db', node.db])
  assert.equal(code, 0, err)
  const line = /^walcast join ([0-9A-Z]+) --db FILE --listen HOST:PORT$/.exec(out)
  assert.ok(line, out)
  assert.match(err, /^run this on the new host within 10 minutes, once; it asks node-\w+ at /)
  return line[1]
}

export async function joinArguments(lab: Lab, code: string, name: string): Promise<string[]> {
  const listen = `127.0.0.1:${await freePort()}`
  return ['join', code, '--db', lab.path(`${name}.db`), '--listen', listen, '--tls']
}

/** The node that `walcast join` runs, once it is level. */
export async function joined(
  lab: Lab,
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<TestNode> {
  const child = lab.cli(args, environment)
  await child.errorLine((line) => line.includes('level with the leader'))
  const [, , , db, , listen] = args
  const options = { db, port: Number(listen.split(':')[1]), flags: args.slice(6), environment }
  return lab.nodeOf('node', options, child)
}

/** The status by the node's own socket: no test knows the secret of such a cluster. */
export async function statusOf(lab: Lab, node: TestNode) {
  const { out, err } = await run(lab, ['status', '--db', node.db, '--json'])
  assert.ok(out.startsWith('{'), err)
  return JSON.parse(out)
}

export function trustOf(db: string): {
  readonly members: readonly { readonly node: string; readonly address: string }[]
} {
  return JSON.parse(readFileSync(`${db}-walcast/keys/cluster.json`, 'utf8'))
}
