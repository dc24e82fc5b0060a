/** A history of lag of a week, as a node has it on disk. */
import { writeFileSync } from 'node:fs'
import { pino } from 'pino'
import { LAG_HISTORY_MS } from '../../src/api/lagHistory.ts'
import { LagHistory } from '../../src/health/lagRing/lagHistory.ts'
import { encodeSlot, SLOT_BYTES } from '../../src/health/lagRing/lagSlot.ts'
import { encodeHeader, HEADER_BYTES } from '../../src/health/lagRing/ringHeader.ts'
import { NO_PERCENTILES } from '../../src/health/lagRing/slotPercentiles.ts'
import { createFileOps } from '../../src/platform/fileOps.ts'
import { numbered, slotOf, valuesWith } from './lagSlots.ts'

const SLOT_MS = 60_000
const OWNER = { node: 'node-a', cluster: 'c1' }
/** As the node makes the file. */
const SLOTS = LAG_HISTORY_MS / SLOT_MS + 40

/** Writes the ring of the last `minutes` before `nowMs`, each with other numbers. */
export function writeWeek(folder: string, nowMs: number, minutes: number): void {
  const file = Buffer.alloc(HEADER_BYTES + SLOTS * SLOT_BYTES)
  encodeHeader({ slots: SLOTS, slotMs: SLOT_MS, slotBytes: SLOT_BYTES, ...OWNER }).copy(file)
  for (let seq = 1; seq <= minutes; seq++) {
    const toMs = nowMs - (minutes - seq) * SLOT_MS
    const values = valuesWith({ lagMs: seq, transactions: seq % 7 })
    const slot = encodeSlot(numbered(slotOf(toMs - SLOT_MS, toMs, { values }), seq))
    slot.copy(file, HEADER_BYTES + (seq % SLOTS) * SLOT_BYTES)
  }
  writeFileSync(`${folder}/lag-week.ring`, file)
}

/** That node, which measures nothing more. */
export function lagHistoryIn(folder: string, nowMs: () => number): LagHistory {
  return new LagHistory({
    ...{ folder, nowMs },
    audit: { recent: () => [] },
    owner: () => OWNER,
    ops: createFileOps(),
    log: pino({ level: 'silent' }),
    onDropped() {},
    sample: () => Promise.reject(new Error('it measures nothing')),
    percentiles: () => NO_PERCENTILES,
  })
}
