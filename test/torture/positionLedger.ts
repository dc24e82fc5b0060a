/**
 * All positions that nodes have reported, with their state checksums. One position has one
 * checksum, whichever node reports it and whenever. The only exception is a leader with a restored
 * state, until it finds that out.
 */
import assert from 'node:assert/strict'
import type { PositionsAnswer } from '../../src/api/checks.ts'
import type { TestNode } from '../support/testNode.ts'

interface Told {
  readonly checksum: string
  readonly by: string
}

export class PositionLedger {
  readonly #told = new Map<string, Told[]>()
  readonly #conflicts: string[] = []
  /**
   * The highest txid that any replica has reported. Commits that only a leader had vanish when its
   * state is restored.
   */
  highestTxid = 0

  /** Asks a running node. */
  async ask(node: TestNode): Promise<void> {
    const { status, text } = await node.get('/_walcast/positions')
    if (status !== 200) return
    const { positions, node: by }: PositionsAnswer = JSON.parse(text)
    for (const { epoch, txid, checksum } of positions) this.#add(`${epoch}-${txid}`, checksum, by)
    const now = await node.status()
    const isSettled = now.state === 'streaming' || now.state === 'capturing'
    if (isSettled && now.checksum !== '') this.#add(`${now.epoch}-${now.txid}`, now.checksum, by)
    if (now.role !== 'leader') this.highestTxid = Math.max(this.highestTxid, now.txid)
  }

  /**
   * Throws when a position had two checksums, unless its epoch is one of those that may mean
   * either: from `first` to before `end`.
   */
  settle(first = 0, end = 0): void {
    const wrong = this.#conflicts.filter((conflict) => {
      const epoch = Number(conflict.split('-', 1)[0])
      return epoch < first || epoch >= end
    })
    this.#conflicts.length = 0
    assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} positions have two checksums`)
  }

  #add(position: string, checksum: string, by: string): void {
    const told = this.#told.get(position) ?? []
    if (told.some((each) => each.checksum === checksum)) return
    if (told.length > 0)
      this.#conflicts.push(
        `${position} is ${checksum} at ${by}, ` +
          `was ${told.map((each) => `${each.checksum} at ${each.by}`).join(', ')}`,
      )
    this.#told.set(position, [...told, { checksum, by }])
  }
}
