/**
 * Clients of the suite failover: every `--period-ms` one write, through the doors in turn, whether
 * or not the ones before are answered. From the first `go` to the second; then it writes what it
 * was told into a file, a JSON array of `Write` of failoverLog.ts.
 */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { openWriter } from '../clients/failoverWriters.ts'
import type { Write } from '../failoverLog.ts'
import { nowMs } from '../roleLog.ts'
import { Flags, readyThenGo, report, sayThenGo } from './program.ts'

/** At one door; a door that is lost answers none of them. Further turns are left out. */
const MAX_WAITING = 400
const MAX_WRITES = 2_000_000

const flags = new Flags(['doors', 'period-ms', 'log', 'first-id'])
const doors: readonly string[] = JSON.parse(flags.text('doors'))
const periodMs = flags.number('period-ms')
const writers = doors.map((door) => openWriter(door))
const waiting = doors.map(() => 0)
const writes: Write[] = []
let lastId = flags.number('first-id') - 1
let isOver = false

async function write(door: number): Promise<void> {
  if (waiting[door] >= MAX_WAITING) return
  if (writes.length >= MAX_WRITES) throw new Error(`more than ${MAX_WRITES} writes`)
  const id = ++lastId
  waiting[door]++
  const beginMs = nowMs()
  // A failure is an unknown outcome.
  const isAcknowledged = await writers[door].insert(id).catch(() => false)
  writes.push([beginMs, nowMs(), isAcknowledged ? 1 : 0, id, door])
  waiting[door]--
}

async function run(): Promise<void> {
  const startMs = nowMs()
  const all = new Set<Promise<void>>()
  for (let turn = 0; !isOver; turn++) {
    const waitMs = startMs + turn * periodMs - nowMs()
    // Turns that this process missed are not made up for.
    if (waitMs < -periodMs) continue
    if (waitMs > 0) await delay(waitMs)
    const one: Promise<void> = write(turn % doors.length).finally(() => all.delete(one))
    all.add(one)
  }
  await Promise.all(writers.map((each) => each.close()))
  await Promise.all(all)
}

await readyThenGo()
const running = run()
await Promise.race([sayThenGo('running'), running])
isOver = true
await running
const out = createWriteStream(flags.text('log'))
out.end(JSON.stringify(writes))
await once(out, 'close')
report({ writes: writes.length })
