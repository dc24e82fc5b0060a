/**
 * Looks out for other processes with a node's id: a copied folder brings the id along. The younger
 * process does not serve. Whoever meets two of them tells that one, which asks the other itself
 * before it ends.
 */
import type { Logger } from 'pino'
import type { Instance } from '../cluster/instance.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { PeerAnswer } from '../cluster/peerAnswer.ts'
import { WalcastError } from '../errors.ts'
import type { PeerCommands } from './peerCommands.ts'

export interface TwinWatchParts {
  readonly log: Logger
  /** This process. */
  readonly instance: Instance
  readonly nodeFile: Pick<NodeFile, 'record'>
  /** HOST:PORT of this node. */
  readonly address: string
  readonly commands: PeerCommands
  /** This process is the younger one, and is to end. */
  readonly onFatal: (error: WalcastError) => void
}

export class TwinWatch {
  readonly #parts: TwinWatchParts
  #taken: WalcastError | undefined

  constructor(parts: TwinWatchParts) {
    this.#parts = parts
  }

  /** Throws NODE_ID_TAKEN when another process came first. */
  requireOwn(): void {
    if (this.#taken) throw this.#taken
  }

  /**
   * Another process with this node's id answered. `isTold`: it takes itself for the one that came
   * first, or another node does.
   */
  onTwin(twin: PeerAnswer, isTold = false): void {
    const { instance, log, nodeFile, address, onFatal, commands } = this.#parts
    const { node } = nodeFile.record
    const error = new WalcastError('NODE_ID_TAKEN', { node, address: twin.asked })
    if (instance.yieldsTo(twin, isTold)) {
      this.#taken = error
      return onFatal(error)
    }
    log.error(
      { address: twin.asked, instance: twin.instance, upMs: twin.upMs },
      `${error.line}; that process is told to end`,
    )
    void commands.twin(twin.asked, address)
  }

  /** Two processes of another node may know nothing of each other: the later one is told. */
  tellApart(answers: readonly PeerAnswer[]): void {
    const longest = [...answers].sort((a, b) => b.upMs - a.upMs)
    for (const [i, { node, instance, asked }] of longest.entries()) {
      const before = longest
        .slice(0, i)
        .find((each) => each.node === node && each.instance !== instance)
      if (before && instance !== '') void this.#parts.commands.twin(asked, before.asked)
    }
  }
}
