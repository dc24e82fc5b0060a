/** Asks nodes that archive what is restorable, and restores it. */
import assert from 'node:assert/strict'
import { isFurther, type Position } from '../../proto/position.ts'
import type { DatabaseStatus } from '../../src/api/databaseStatus.ts'
import type { BackupIdentity } from '../../src/security/backupKeys.ts'
import { restoreFrom } from './restoring.ts'
import type { TestNode } from './testNode.ts'
import { until } from './until.ts'

/** A position of a database, and its state. */
export interface Told {
  readonly incarnation: string
  readonly txid: number
  readonly checksum: string
}

/** The newest position that the first place of a node has. */
export const restorable = (status: DatabaseStatus) => status.backup?.places[0]?.restorableUntil

/** Waits until the place has all that the node has. Gives the position and its checksum. */
export async function archived(node: TestNode): Promise<Told> {
  // A commit that has just returned may not be in the leader's position yet.
  let least: Position | undefined
  return until('the archive is level', async (saw) => {
    if ((await node.status()).role === 'leader') least ??= await node.settled()
    const status = await node.status()
    if (status.role === 'leader' && (!least || isFurther(least, status))) return undefined
    const { txid, epoch, checksum } = status
    saw(JSON.stringify(status.backup))
    const until = restorable(status)
    return until?.position === `${epoch}-${txid}`
      ? { incarnation: until.incarnation, txid, checksum }
      : undefined
  })
}

/** Restores each of these, the last one included, and compares the state. */
export async function requireRestorable(
  place: string,
  told: readonly Told[],
  pathOf: (i: number) => string,
  identities?: readonly BackupIdentity[],
): Promise<void> {
  for (const [i, { incarnation, txid, checksum }] of told.entries()) {
    const restored = await restoreFrom(place, { incarnation, txid }, pathOf(i), identities)
    assert.equal(restored.checksum, checksum, `txid ${txid}`)
  }
}
