/**
 * A node that archives ends again and again, by SIGTERM and SIGKILL in turn, under a writer that
 * sometimes goes on while it is down. Every position that a status told is restored as it was, or
 * the archive says that it does not have it; one snapshot is enough for all.
 */
import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { freePort } from '../../src/cli/freePorts.ts'
import { archived, restorable, type Told } from '../support/archiving.ts'
import type { Lab } from '../support/lab.ts'
import { restoreFrom } from '../support/restoring.ts'
import { makeDatabase, Writer } from '../support/workload.ts'

const TRIED = 150

export async function archiveRestarts(lab: Lab, t: TestContext, restarts: number): Promise<void> {
  const db = lab.path('leader.db')
  const place = lab.path('archive')
  await makeDatabase(lab, db)
  const port = await freePort()
  const flags = ['--backup', place, '--backup-every', '50ms', '--keep', 'all', '--keep-every', '1s']
  const told: Told[] = []
  let leader = await (await lab.leader(db, { port, flags })).ready()
  for (let i = 0; i < restarts; i++) {
    const { incarnation } = await archived(leader)
    const writer = new Writer(lab, 'node', { path: db, name: `w${i}`, seed: i, pauseMs: 5 })
    for (let look = 0; look < 20; look++) {
      await writer.advance(3)
      const status = await leader.status()
      // Between two incarnations the one of a position is not known.
      if (restorable(status)?.incarnation === incarnation) told.push({ incarnation, ...status })
    }
    leader.kill(i % 2 === 0 ? 'SIGTERM' : 'SIGKILL')
    await leader.child.ended
    if (i % 3 === 0) await writer.advance(50)
    leader = await (await lab.leader(db, { port, flags })).ready()
    await writer.stop()
    told.push(await archived(leader))
  }
  await leader.stop()
  const counts = { same: 0, missing: 0 }
  const every = Math.ceil(told.length / TRIED)
  for (const each of told.filter((_, i) => i % every === 0))
    counts[(await isRestored(lab, place, each)) ? 'same' : 'missing']++
  t.diagnostic(JSON.stringify(counts))
  assert.ok(counts.same > counts.missing)
  assert.equal(readdirSync(`${place}/snapshots`).length, 1)
}

/** False when no files lead there. */
async function isRestored(lab: Lab, place: string, told: Told): Promise<boolean> {
  const path = lab.path('restored.db')
  try {
    const { checksum } = await restoreFrom(place, told, path)
    assert.equal(checksum, told.checksum, `txid ${told.txid}`)
    return true
  } catch (error) {
    if (error instanceof Error && /no files lead|ARCHIVE_GAP/.test(error.message)) return false
    throw error
  } finally {
    rmSync(path, { force: true })
  }
}
