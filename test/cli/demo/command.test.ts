import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { countsIn, Tally } from '../../../src/cli/demo/metrics.ts'
import type { DemoResult } from '../../../src/cli/demo/result.ts'
import { commandToEnd, type EndedCommand } from '../../support/endedCommand.ts'
import { processesIn } from '../../support/processesIn.ts'
import { until } from '../../support/until.ts'

/** Temporary folders of the demos in this file, so that what they leave behind can be seen. */
const folder = mkdtempSync(join(tmpdir(), 'walcast-demo-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** Runs the demo to its end, or interrupts it once `whenToStop` resolves. */
function demo(args: readonly string[], whenToStop?: () => Promise<unknown>): Promise<EndedCommand> {
  const run = { temporary: folder, stopSignal: 'SIGINT', giveUpSignal: 'SIGTERM' } as const
  return commandToEnd(['demo', ...args], run, whenToStop)
}

test('the demo proves three identical files after a restart and a kill', async () => {
  const { code, stdout, stderr } = await demo(['--seconds', '6', '--json'])
  assert.equal(stderr, '')
  assert.equal(code, 0)
  assert.equal(stdout.trimEnd().split('\n').length, 1)
  const result = JSON.parse(stdout) as DemoResult
  assert.equal(result.ok, true)
  assert.equal(result.seconds, 6)
  assert.equal(result.rate, 200)
  assert.ok(result.writes > 100, `only ${result.writes} writes`)
  checkReplicas(result)
  checkInterruptions(result)
  checkProof(result)
  assert.deepEqual(readdirSync(folder), [])
})

function checkReplicas({ leader, replicas, writes }: DemoResult): void {
  if (leader.epoch === 1) assert.equal(leader.captured, writes)
  assert.match(leader.checksum, /^[0-9a-f]{16}$/)
  assert.deepEqual(
    replicas.map(({ name }) => name),
    ['replica-1', 'replica-2'],
  )
  for (const replica of replicas) {
    assert.equal(replica.identical, true)
    assert.equal(replica.differingPages, 0)
    assert.deepEqual(
      [replica.epoch, replica.txid, replica.checksum],
      [leader.epoch, leader.txid, leader.checksum],
    )
    assert.ok(replica.count > 0 && replica.undisturbed.count > 0)
    assert.ok(replica.p50Ms > 0 && replica.p50Ms <= replica.p99Ms)
    assert.ok(replica.frames > 0 && replica.bytes > 20_000_000)
  }
}

/**
 * Whether the restarted leader keeps its epoch depends on whether the writer reset the WAL while it
 * was away.
 */
function checkInterruptions({ leader, interruptions }: DemoResult): void {
  const [restart, kill] = interruptions
  assert.deepEqual([restart.node, restart.signal], ['leader', 'SIGTERM'])
  assert.equal(restart.resumed, leader.epoch === 1)
  assert.deepEqual([kill.node, kill.signal, kill.resumed], ['replica-2', 'SIGKILL', true])
}

function checkProof({ leader, proof }: DemoResult): void {
  assert.equal(proof.integrity, 'ok')
  assert.equal(proof.checksum, leader.checksum)
  assert.equal(proof.pageSize, 4096)
  assert.ok(proof.pages >= 5701)
  assert.equal(proof.tables['airports'], 69_899)
  assert.ok(proof.tables['demo_visits'] > 0)
}

test('an interrupted demo stops its processes and leaves nothing behind', async () => {
  const { code, stdout, stderr } = await demo(['--seconds', '3600', '--json'], () =>
    until('its writer runs', () =>
      processesIn(folder).some((line) => line.includes('demo/writer')),
    ),
  )
  assert.equal(code, 1)
  assert.match(stderr, /^interrupted; every process was stopped\n$/)
  assert.equal((JSON.parse(stdout) as { readonly ok: boolean }).ok, false)
  assert.deepEqual(processesIn(folder), [])
  assert.deepEqual(readdirSync(folder), [])
})

test('wrong arguments are a usage error', async () => {
  const { code, stderr } = await demo(['--seconds', '1'])
  assert.equal(code, 2)
  assert.match(stderr, /^WALCAST_USAGE: --seconds wants a number from 3 to 3600, not 1;.*\n$/)
})

test('counters add up over the processes of a node', () => {
  const tally = new Tally()
  const text = (frames: number) =>
    `# HELP x\nwalcast_apply_pages_total ${frames}\nwalcast_receive_bytes_total 10\n` +
    'walcast_refused_messages_total{error="X"} 1\n'
  tally.set(countsIn(text(3)))
  tally.set(countsIn(text(5)))
  tally.onRestart()
  tally.set(countsIn(text(2)))
  assert.deepEqual(tally.total, { frames: 7, bytes: 20, syncs: 0 })
})
