/** A node that archives merges the files of its place while it goes on. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { parseArchiveName } from '../../proto/archiveNames.ts'
import { freePort } from '../../src/cli/freePorts.ts'
import { archived, requireRestorable, restorable, type Told } from '../support/archiving.ts'
import { campaignTest, type Lab, nodeArguments } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase, Writer } from '../support/workload.ts'

/** A minute of the archive goes by in 1.5 s. */
const SPEED = 40

async function fastLeader(lab: Lab, db: string, port: number, place: string, sinceMs: number) {
  const flags = ['--backup', place, '--backup-every', '50ms', '--keep', '1d:all,9d:daily']
  const options = { db, port, flags: [...flags, '--keep-every', '1s'] }
  const args = nodeArguments('leader', options)
  const child = lab.program('nodeInFastTime', { args, sinceMs, speed: SPEED })
  await child.errorLine((line) => line.includes('"msg":"running"'))
  return lab.nodeOf('leader', options, child).ready()
}

/** Of files of changes: the txid at their end. */
function endsAt(place: string, level: number): number[] {
  const names = level > 0 && !levels(place).includes(`${level}`) ? [] : filesOf(place, level)
  return names.map((name) => {
    const parsed = parseArchiveName(`changes/${level}/${name}`)
    assert.ok(parsed?.kind === 'changes')
    return parsed.to.txid
  })
}

const levels = (place: string) => readdirSync(`${place}/changes`)
const filesOf = (place: string, level: number) => readdirSync(`${place}/changes/${level}`)

/** The position of the node now, once the place has it. */
async function toldOf(node: TestNode): Promise<Told> {
  const { txid, checksum } = await node.status()
  const { incarnation } = await until('it is archived', async () => {
    const there = restorable(await node.status())
    return Number(there?.position.split('-')[1]) >= txid ? there : undefined
  })
  return { incarnation, txid, checksum }
}

/** Waits until the files of level 0 that end after `from`, up to `txid`, are merged. */
async function merged(place: string, from: number, txid: number): Promise<void> {
  await until(`txid ${txid} is in a merged file`, (saw) => {
    const ends = endsAt(place, 1)
    saw(`level 0: ${endsAt(place, 0)}, level 1: ${ends}`)
    const isLeft = endsAt(place, 0).some((end) => from < end && end <= txid)
    return ends.some((end) => end >= txid) && !isLeft
  })
}

campaignTest(
  'a leader merges what it archives under a writer, is killed, and goes on',
  async (lab) => {
    const db = lab.path('leader.db')
    const place = lab.path('archive')
    await makeDatabase(lab, db)
    const [port, sinceMs] = [await freePort(), Date.now()]
    let leader = await fastLeader(lab, db, port, place, sinceMs)
    const told: Told[] = [await archived(leader)]
    const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 5, pauseMs: 150 })
    let from = 0
    for (let round = 0; round < 2; round++) {
      await writer.advance(5)
      const last = await toldOf(leader)
      told.push(last)
      await merged(place, from, last.txid)
      if (round > 0) continue
      leader.kill('SIGKILL')
      await leader.child.ended
      leader = await fastLeader(lab, db, port, place, sinceMs)
      from = (await leader.status()).txid
    }
    await writer.stop()
    told.push(await archived(leader))
    const upkeep = await until('a round has ended', async () => {
      return (await leader.status()).backup?.places[0].upkeep
    })
    assert.deepEqual([upkeep.restorable[0].grain, upkeep.lastError], ['all', undefined])
    assert.ok(upkeep.files > 0 && upkeep.bytes > 0)
    await leader.stop()
    await requireRestorable(place, told, (i) => lab.path(`restored-${i}.db`))
    assert.equal(readdirSync(`${place}/snapshots`).length, 1)
  },
)
