/**
 * Looks out for other processes with a node's id: a copied folder brings the id along. The younger
 * process does not serve. Whoever meets two of them tells that one, which asks the other itself
 * before it ends.
 */
import type { Logger } from 'pino'
import type { Instance } from '../cluster/instance.ts'
import type { PeerAnswer } from '../cluster/peerCalls.ts'
import { WalcastError } from '../errors.ts'

export interface TwinWatchHost {
  readonly log: Logger
  /** This process. */
  readonly instance: Instance
  /** Id of this node. */
  node(): string
  /** HOST:PORT of this node. */
  address(): string
  /** This process is the younger one, and is to end. */
  yieldId(error: WalcastError): void
  /**
   * Tells the process at `address` that it has the id of the one at `of`, which came before it.
   * Never rejects.
   */
  tellTwin(address: string, of: string): Promise<void>
}

export class TwinWatch {
  readonly #host: TwinWatchHost
  #taken: WalcastError | undefined

  constructor(host: TwinWatchHost) {
    this.#host = host
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
    const { instance, log, node, address, yieldId, tellTwin } = this.#host
    const error = new WalcastError('NODE_ID_TAKEN', { node: node(), address: twin.asked })
    if (instance.yieldsTo(twin, isTold)) {
      this.#taken = error
      return yieldId(error)
    }
    log.error(
      { address: twin.asked, instance: twin.instance, upMs: twin.upMs },
      `${error.line}; that process is told to end`,
    )
    void tellTwin(twin.asked, address())
  }

  /** Two processes of another node may know nothing of each other: the later one is told. */
  tellApart(answers: readonly PeerAnswer[]): void {
    const longest = [...answers].sort((a, b) => b.upMs - a.upMs)
    for (const [i, { node, instance, asked }] of longest.entries()) {
      const before = longest
        .slice(0, i)
        .find((each) => each.node === node && each.instance !== instance)
      if (before && instance !== '') void this.#host.tellTwin(asked, before.asked)
    }
  }
}
