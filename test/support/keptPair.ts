/** A leader and its replica, whose rows the leader loses, and what the replica keeps of them. */
import { cpSync, rmSync } from 'node:fs'
import type { DivergedStatus } from '../../src/api/databaseStatus.ts'
import { type Lab, waitLevel } from './lab.ts'
import type { TestNode } from './testNode.ts'
import { until } from './until.ts'
import { makeDatabase } from './workload.ts'

/** Both nodes are level, with a copy of the leader's file from before its last two commits. */
export async function startPair(
  lab: Lab,
  flags: readonly string[] = [],
  rows = 500,
): Promise<{ leader: TestNode; replica: TestNode; backup: string }> {
  const db = lab.path('leader.db')
  const backup = lab.path('backup.db')
  await makeDatabase(lab, db, { rows })
  cpSync(db, backup)
  const leader = await lab.leader(db)
  const replica = await (await lab.replica(lab.path('replica.db'), leader, { flags })).ready()
  await lab.exec(
    db,
    "INSERT INTO log (who, body) VALUES ('lost', x'0102')",
    'UPDATE accounts SET balance = balance + 1 WHERE id = 7',
  )
  await waitLevel(leader, replica)
  return { leader, replica, backup }
}

/** The leader's database is replaced by a backup of it while nothing runs. */
export async function restore(leader: TestNode, backup: string): Promise<void> {
  await leader.stop()
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${leader.db}${suffix}`, { force: true })
  cpSync(backup, leader.db)
}

export async function compared(replica: TestNode): Promise<DivergedStatus> {
  return until('its rows were compared', async () => {
    const { diverged = [] } = await replica.status()
    return diverged.find(({ state }) => state === 'compared')
  })
}

export function keptPath(replica: TestNode, { name }: { readonly name: string }): string {
  return `${replica.db}-walcast/diverged/${name}`
}
