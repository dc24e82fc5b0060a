/**
 * Every position that a node has told together with a state checksum. One position has one
 * checksum, whoever tells it and whenever. The only exception is what a leader gives out after its
 * state was put back and before it finds that out.
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
   * The highest that any replica has told. What only a leader had is gone without a trace when its
   * state is put back.
   */
  highestTxid = 0

  /** Asks a node that runs. */
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
