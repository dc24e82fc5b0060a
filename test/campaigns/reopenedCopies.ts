/** Another user opens a copy again and again under a writer, without an error. */
import { cluster, Opener } from '../support/copyReaders.ts'
import { type Lab, requireSame } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { Writer } from '../support/workload.ts'

interface Reopened {
  /** Of the replica. */
  readonly flags: readonly string[]
  /** Whether its WAL is emptied meanwhile. */
  readonly isEmptied: boolean
}

/** What happens to the copy. */
export const REOPENED: Readonly<Record<string, Reopened>> = {
  written: { flags: ['--idle', '1h'], isEmptied: false },
  'written and emptied': { flags: ['--replica-wal', '64KiB', '--idle', '20ms'], isEmptied: true },
}

/** At least `opens` times, by SQLite of two versions. */
export async function reopenedCopies(
  lab: Lab,
  { flags, isEmptied }: Reopened,
  opens: number,
): Promise<void> {
  const { leader, replica, source, copy } = await cluster(lab, ['--copy-mode', '0644', ...flags])
  const openers = (['python', 'node'] as const).map((language) => new Opener(lab, language, copy))
  const writer = new Writer(lab, 'node', { path: source, name: 'w', seed: 1, pauseMs: 3 })
  await until(`${opens} opens`, () => openers[0].opened + openers[1].opened >= opens, 90_000)
  if (isEmptied) await checkpointed(replica)
  await writer.stop()
  for (const opener of openers) await opener.stop(isEmptied)
  await requireSame(lab, leader, replica)
}

/** Its node stops and starts meanwhile. */
export async function reopenedInRestarts(lab: Lab, restarts: number): Promise<void> {
  const { leader, replica, source, copy } = await cluster(lab, [
    '--copy-mode',
    '0644',
    '--idle',
    '20ms',
  ])
  const openers = (['python', 'node'] as const).map((language) => new Opener(lab, language, copy))
  const writer = new Writer(lab, 'node', { path: source, name: 'w', seed: 1, pauseMs: 3 })
  let node = replica
  for (let i = 0; i < restarts; i++) {
    await openers[0].advance(500)
    await node.stop()
    await openers[1].advance(500)
    node = await (await lab.restart(node)).ready()
  }
  await writer.stop()
  for (const opener of openers) await opener.stop(true)
  await requireSame(lab, leader, node)
}

/** Waits until a new WAL generation has begun, or the WAL is empty. */
async function checkpointed(replica: TestNode): Promise<void> {
  const before = await replica.metric('walcast_checkpoints_total')
  await until(
    'a checkpoint',
    async () => (await replica.metric('walcast_checkpoints_total')) > before,
  )
}
