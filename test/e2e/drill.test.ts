/** A node that archives proves by itself that its archive can be restored, and says when not. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PlaceReport } from '../../src/api/backupStatus.ts'
import { brokenNotes } from '../../src/backup/retention/brokenNotes.ts'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { systemFileOps as ops } from '../../src/platform/fileOps.ts'
import { archived } from '../support/archiving.ts'
import { type Lab, labTest } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const EVERY_SECOND = ['--backup-every', '100ms', '--drill', '* * * * * *']

async function placeOf(node: TestNode): Promise<PlaceReport | undefined> {
  return (await node.status()).backup?.places[0]
}

function nodeOn(lab: Lab, flags: readonly string[]): Promise<TestNode> {
  const all = ['--backup', lab.path('archive'), '--drill-reserve', '1MiB', ...flags]
  return lab.leader(lab.path('leader.db'), { flags: all }).then((node) => node.ready())
}

function drilled(node: TestNode, isWanted: (place: PlaceReport) => boolean): Promise<PlaceReport> {
  return until('the drill has ended so', async (saw) => {
    const place = await placeOf(node)
    saw(JSON.stringify(place))
    return place && isWanted(place) ? place : undefined
  })
}

async function lastDrill(node: TestNode) {
  const { entries } = JSON.parse((await node.get('/_walcast/audit')).text)
  return entries.findLast(({ action }: { readonly action: string }) => action === 'drill')
}

/** What a listener of its events is told of the archive at first. */
async function archiveEvents(node: TestNode): Promise<PlaceReport[]> {
  const answer = await fetch(`${node.url}/_walcast/events`)
  let text = ''
  const decoder = new TextDecoder()
  for await (const bytes of answer.body ?? []) {
    text += decoder.decode(bytes, { stream: true })
    const found = [...text.matchAll(/^event: archive\ndata: (.*)\n\n/gm)]
    if (found.length > 0) return found.map(([, data]) => JSON.parse(data))
  }
  return assert.fail(`the stream ended after ${text}`)
}

/** Changes a byte in the middle of the newest file of changes; gives its name. */
function damageNewest(place: string): string {
  const folder = join(place, 'changes/0')
  const txidOf = (name: string) => Number(/(\d+)\D*$/.exec(name)?.[1])
  const names = readdirSync(folder).filter((name) => name.endsWith('.wca'))
  const [newest] = names.toSorted((a, b) => txidOf(b) - txidOf(a) || (a < b ? 1 : -1))
  const path = join(folder, newest)
  const bytes = readFileSync(path)
  bytes[Math.floor(bytes.length / 2)] ^= 1
  writeFileSync(path, bytes)
  return newest
}

labTest(
  'an archive is proven, a damaged one is not, and the last proof stays known',
  async (lab) => {
    const place = lab.path('archive')
    const db = lab.path('leader.db')
    const leftover = `${db}-walcast/backup/drill`
    await makeDatabase(lab, db)
    const isWhole = "SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'later'"
    let node = await nodeOn(lab, [...EVERY_SECOND, '--drill-check', isWhole])
    const early = await drilled(node, ({ drillFailure: failure }) => failure !== undefined)
    assert.equal(early.drillFailure?.code, 'DRILL_CHECK_FAILED')
    assert.equal(early.proven, undefined)
    await lab.exec(db, 'CREATE TABLE later (a)')
    const { txid, incarnation } = await archived(node)
    const { epoch } = await node.status()
    const position = `${epoch}-${txid}`
    const proven = await drilled(node, (each) => each.proven?.position === position)
    assert.equal(proven.drillFailure, undefined)
    assert.equal(proven.proven?.incarnation, incarnation)
    assert.equal(proven.proven?.at, proven.restorableUntil?.at)
    const { outcome, detail, by } = await lastDrill(node)
    assert.deepEqual([outcome, by], ['done', 'schedule'])
    assert.ok(detail.includes(`proven up to ${position}`), detail)
    const untilS = Date.parse(proven.proven?.at ?? '') / 1000
    assert.equal(await node.metric('walcast_backup_proven_until_timestamp_seconds'), untilS)
    assert.ok((await node.metric('walcast_backup_proven_timestamp_seconds')) >= Math.floor(untilS))
    assert.equal(await node.metric('walcast_backup_stalled'), 0)

    const bad = damageNewest(place)
    const failed = await drilled(node, ({ drillFailure: failure }) => failure !== undefined)
    assert.equal(failed.drillFailure?.code, 'ARCHIVE_BROKEN')
    assert.ok(failed.drillFailure?.message.includes(bad), failed.drillFailure?.message)
    assert.ok((await node.metric('walcast_backup_drill_failures_total', 'ARCHIVE_BROKEN')) > 0)
    const entry = await lastDrill(node)
    assert.equal(entry.outcome, 'failed')
    assert.ok(entry.detail.includes(bad), entry.detail)

    // A snapshot is taken for it, and none again within the hour: what breaks next stays broken.
    const isProvenAgain = ({ proven: last, drillFailure }: PlaceReport) =>
      drillFailure === undefined && last?.provenAt !== proven.proven?.provenAt
    await drilled(node, isProvenAgain)
    await lab.exec(db, 'CREATE TABLE latest (a)')
    await archived(node)
    damageNewest(place)
    await drilled(node, ({ drillFailure: failure }) => failure !== undefined)
    await until(
      'the proof is overdue',
      async () => (await node.metric('walcast_backup_proof_overdue')) === 1,
    )
    const { causes, backup } = await node.status()
    assert.ok(causes.some(({ code }) => code === 'proof-overdue'))
    const known = backup?.places[0].proven
    const [told] = await archiveEvents(node)
    assert.deepEqual([told.place, told.proven], [place, known])
    assert.equal(told.drillFailure?.code, 'ARCHIVE_BROKEN')
    assert.equal(told.isProofOverdue, true)

    node.kill('SIGKILL')
    await node.child.ended
    // As if it was killed in the middle of a drill.
    mkdirSync(leftover, { recursive: true })
    writeFileSync(`${leftover}/drill.db-restoring`, 'half')
    node = await nodeOn(lab, ['--drill', '0 0 1 1 *'])
    assert.equal(existsSync(leftover), false)
    const again = await placeOf(node)
    assert.deepEqual(again?.proven, known)
    assert.equal(again?.drillFailure?.code, 'ARCHIVE_BROKEN')
    assert.equal(again?.isProofOverdue, false)
  },
)

labTest('a drill refuses a disk without room, and an encrypted place is checked', async (lab) => {
  const db = lab.path('leader.db')
  const recipients = lab.path('recipients')
  const key = lab.cli(['backup-key', '--to', lab.path('identity')])
  key.expectEnd()
  assert.equal((await key.ended).code, 0)
  writeFileSync(recipients, key.out.join('\n'), { mode: 0o600 })
  await makeDatabase(lab, db)
  const [sealed, plain] = [lab.path('sealed'), lab.path('plain')]
  const flags = ['--backup-recipients', recipients, '--backup', sealed]
  const node = await (await lab.leader(db, { flags: [...EVERY_SECOND, ...flags] })).ready()
  await archived(node)
  const checked = await drilled(node, (place) => place.checked !== undefined)
  assert.equal(checked.proven, undefined)
  assert.equal(checked.checked?.position, checked.restorableUntil?.position)
  assert.ok((await node.metric('walcast_backup_checked_timestamp_seconds')) > 0)
  await lab.exec(db, 'CREATE TABLE later (a)')
  await archived(node)
  const bad = damageNewest(sealed)
  const failed = await drilled(node, ({ drillFailure: failure }) => failure !== undefined)
  assert.ok(failed.drillFailure?.message.includes(bad), failed.drillFailure?.message)
  const store = new DirectoryStore(sealed, ops)
  const note = await until('it is noted', async () => (await brokenNotes(store))[0])
  assert.equal(note.about?.file, `changes/0/${bad}`)
  await node.stop()
  assert.equal(existsSync(`${db}-walcast/backup/drill`), false)

  const check = ['--drill-check', 'SELECT 1 FROM nowhere']
  const full = [...EVERY_SECOND, '--backup', plain, '--drill-reserve', '1000000GiB', ...check]
  const other = await (await lab.leader(db, { flags: full })).ready()
  const refused = await drilled(other, ({ drillFailure: failure }) => failure !== undefined)
  assert.equal(refused.drillFailure?.code, 'DRILL_NO_ROOM')
  await other.child.errorLine((line) => /no such table: nowhere.*--drill-check fails/.test(line))
})
