import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import { maxRowIdOfSegment } from '../../bench/clients/litestreamSegment.ts'
import { sqlite } from '../../bench/clients/sqlite.ts'
import { parseOptions, UsageError } from '../../bench/options.ts'
import { Processes } from '../../bench/processes.ts'
import { cpuMsOf } from '../../bench/procfs.ts'
import { keepable } from '../../bench/result.ts'
import { casesOf } from '../../bench/suites/lag.ts'
import { makeDatabase, verifySame } from '../../bench/systems/content.ts'
import { findPeers } from '../../bench/systems/systems.ts'
import { PATIENCE_MS } from '../support/until.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const folder = mkdtempSync(join(tmpdir(), 'walcast-test-'))
const processes = new Processes()
const setup = { processes, root: ROOT, folder, replicas: 1, nodeArgs: [] }
after(async () => {
  await processes.close()
  rmSync(folder, { recursive: true })
})

test('a result keeps the median, and a range only where rounds differed', () => {
  const row = {
    system: 'x',
    p50Ms: { median: 1.23456, min: 1, max: 2 },
    same: { median: 5, min: 5, max: 5 },
  }
  assert.deepEqual(keepable(row), { system: 'x', p50Ms: 1.235, p50MsRange: [1, 2], same: 5 })
})

test('a missing value is left out, an unmeasured one is null', () => {
  assert.deepEqual(
    keepable({ gone: undefined, nothing: null, no: Number.NaN, yes: true, rate: 'full' }),
    {
      nothing: null,
      no: null,
      yes: true,
      rate: 'full',
    },
  )
})

test('each suite has its own defaults', () => {
  const lag = parseOptions(['lag'])
  const throughput = parseOptions(['throughput', '--json'])
  assert.ok(lag !== 'help' && throughput !== 'help')
  assert.deepEqual(lag.ratesPerSecond, [10, 200, 1000, 5000])
  assert.deepEqual(lag.peers, [])
  assert.deepEqual(throughput.ratesPerSecond, [Number.POSITIVE_INFINITY, 5000])
  assert.equal(throughput.json, true)
})

test('http measures one connection and several', () => {
  const options = parseOptions(['http'])
  assert.ok(options !== 'help')
  assert.deepEqual(
    [options.connections, options.ratesPerSecond, options.rounds],
    [[1, 16], [200], 3],
  )
})

test('switchover hands over fifty times and kills five leaders', () => {
  const options = parseOptions(['switchover'])
  assert.ok(options !== 'help')
  assert.deepEqual(
    [options.switchovers, options.failovers, options.ratesPerSecond, options.rounds],
    [50, 5, [200], 1],
  )
})

test('peers are measured at the rates given', () => {
  const ratesOf = (...args: string[]) => {
    const options = parseOptions(['lag', '--peers', 'redis', ...args])
    assert.ok(options !== 'help')
    return options.peerRatesPerSecond
  }
  assert.deepEqual(ratesOf(), [200])
  assert.deepEqual(ratesOf('--rates', '50,100'), [50, 100])
  assert.deepEqual(ratesOf('--rates', '50,100', '--peer-rates', '100'), [100])
})

test('every rate is measured, and other lists one value at a time', () => {
  const options = parseOptions([
    'lag',
    '--rates',
    '10,200,1000',
    '--peer-rates',
    '10',
    '--replicas',
    '1,2',
  ])
  assert.ok(options !== 'help')
  const cases = casesOf(options).map(({ rate, pages, replicas, hasPeers }) => [
    rate,
    pages,
    replicas,
    hasPeers,
  ])
  assert.deepEqual(cases, [
    [10, 1, 1, true],
    [200, 1, 1, false],
    [1000, 1, 1, false],
    [200, 1, 2, false],
  ])
})

test('bad options are refused', () => {
  for (const args of [
    [],
    ['lagg'],
    ['lag', 'throughput'],
    ['lag', '--rates', 'many'],
    ['lag', '--rates', '0'],
    ['lag', '--rates', ','],
    ['lag', '--rounds', '0'],
    ['lag', '--rounds', '1.5'],
    ['lag', '--replicas', '0'],
    ['lag', '--readers', 'sleepy'],
    ['lag', '--pin', 'writer'],
    ['lag', '--nonsense', '1'],
    ['lag', '--rates', 'full'],
    ['idle', '--peers', 'redis'],
    ['floor', '--pages', '7'],
    ['lag', '--rates', '1e9'],
    ['apply', '--transactions', '0'],
    ['idle', '--pin', 'leader=0'],
    ['lag', '--connections', '1'],
    ['http', '--connections', '0'],
    ['http', '--connections', ','],
    ['http', '--rates', 'full'],
    ['http', '--peers', 'redis'],
    ['lag', '--switchovers', '1'],
    ['switchover', '--failovers', '0'],
  ])
    assert.throws(() => parseOptions(args), UsageError, args.join(' '))
})

test('an unknown peer is a usage error', async () => {
  await assert.rejects(
    findPeers(['oracle'], () => {}),
    UsageError,
  )
})

test('the largest row id in part of a WAL is found', () => {
  const path = join(folder, 'segment.db')
  const db = new Database(path)
  db.pragma('journal_mode = WAL')
  db.pragma('wal_autocheckpoint = 0')
  db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v)')
  const insert = db.prepare('INSERT INTO t(id, v) VALUES (?, ?)')
  for (let id = 1; id <= 500; id++) insert.run(id, 'x'.repeat(100))
  const wal = readFileSync(`${path}-wal`)
  db.close()
  assert.equal(maxRowIdOfSegment(wal, true), 500)
  const frameBytes = 24 + 4096
  assert.equal(maxRowIdOfSegment(wal.subarray(wal.length - frameBytes), false), 500)
  assert.equal(maxRowIdOfSegment(wal.subarray(0, 32), true), 0)
})

test('contents that differ in one value are not identical', async () => {
  const places = ['a', 'b'].map(
    (name) => ({ client: 'sqlite', where: join(folder, name) }) as const,
  )
  for (const { where } of places) {
    await makeDatabase(setup, where, 'rows', 0)
    const writer = await sqlite.openWriter(where, {
      valueBytes: 10,
      pages: 1,
      autocheckpoint: 1000,
    })
    for (let id = 1; id <= 20; id++) writer.insert(id)
    writer.close()
  }
  await verifySame(setup, places)
  const db = new Database(places[1].where)
  db.prepare('UPDATE t SET v = ? WHERE id = 13').run(Buffer.from('aaaaaaaaab'))
  db.close()
  await assert.rejects(verifySame(setup, places), /differs from its primary/)
})

test('CPU time includes children, also ended ones', async () => {
  const burn = 'while (process.cpuUsage().user < 300_000);'
  const script = `const { execFileSync, spawn } = require("child_process")
    execFileSync(process.execPath, ["-e", ${JSON.stringify(burn)}])
    const child = spawn("sleep", ["60"], { stdio: "ignore" })
    child.once("spawn", () => console.log("ready"))
    process.on("SIGTERM", () => child.kill())`
  const child = processes.start({ name: 'parent', file: process.execPath, args: ['-e', script] })
  await child.ready(PATIENCE_MS)
  assert.ok(cpuMsOf(child.pid) >= 250, `${cpuMsOf(child.pid)} ms`)
  await child.stop()
})
