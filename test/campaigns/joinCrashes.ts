/** A host that joins dies, or has no room, at a step of it, and joins with the same command. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import type { Lab } from '../support/lab.ts'
import { joinArguments, joined, pair, startLeader, statusOf, trustOf } from '../support/pairing.ts'

/** A step, and whether the process is killed there; otherwise the disk is full. */
export type JoinCrash = readonly [op: string, kill: boolean]

/** All steps, in the order in which a first join takes them. */
export const JOIN_CRASHES: readonly JoinCrash[] = ['keys', 'trust', 'role'].flatMap((kind) =>
  ['write', 'rename', 'folder'].flatMap((step): JoinCrash[] => [
    [`${kind}.${step}`, true],
    [`${kind}.${step}`, false],
  ]),
)

/** Joins in a process that ends or fails at a step. Gives what it said. */
export async function joinFailing(lab: Lab, args: readonly string[], op: string, kill: boolean) {
  const child = lab.program('joinFailing', { args, op, kill })
  child.expectEnd()
  const { signal } = await child.ended
  return { signal, said: JSON.parse(child.out[0] ?? '{}') }
}

export async function joinCrashes(lab: Lab, crashes: readonly JoinCrash[]): Promise<void> {
  const leader = await startLeader(lab)
  const code = await pair(lab, leader)
  const args = await joinArguments(lab, code, 'a')
  for (const [op, kill] of crashes) {
    // Each time as on a new host, but for the key: the code is good for that alone.
    for (const file of ['node.json', 'keys/cluster.json'])
      rmSync(`${args[3]}-walcast/${file}`, { force: true })
    // The first steps come only while there is no key, and no code is used by then.
    if (op.startsWith('keys.')) rmSync(`${args[3]}-walcast`, { recursive: true, force: true })
    const { signal, said } = await joinFailing(lab, args, op, kill)
    if (kill) assert.equal(signal, 'SIGKILL', op)
    else assert.deepEqual(said, { failed: 'WALCAST_DISK_FULL', hasFailed: true }, op)
  }
  const replica = await joined(lab, args)
  const { node, leader: follows } = await statusOf(lab, replica)
  assert.equal(follows, (await statusOf(lab, leader)).node)
  const { members } = trustOf(leader.db)
  assert.equal(members.length, 2, 'one key is one member')
  assert.ok(members.some((member) => member.node === node && member.address === args[5]))
}
