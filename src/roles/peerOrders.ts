/** Carries out what is ordered of other nodes: questions and calls. */
import type { Logger } from 'pino'
import { type Acceptance, untilApplicationAccepts } from '../cluster/peerApplication.ts'
import type { PeerCalls } from '../cluster/peerCalls.ts'
import { messageOf } from '../errors.ts'
import type { PeerQuestions } from './election/peerQuestions.ts'
import { APPLICATION_MS, type PeerCommands } from './peerCommands.ts'
import type { RoleStepEnd } from './state/roleEvents.ts'
import type { PeerOrder } from './state/roleOrders.ts'

export interface PeerOrdersParts {
  readonly log: Logger
  readonly questions: PeerQuestions
  readonly commands: PeerCommands
  readonly calls: PeerCalls
}

/** Those whose end is an event of the change that is under way. */
export type AwaitedPeerOrder = Extract<
  PeerOrder,
  { readonly do: 'ask' | 'readClock' | 'giveTo' | 'tellToFollow' }
>

export class PeerOrders {
  readonly #parts: PeerOrdersParts
  /** Of switchovers whose answer waits for the new leader's application, by request. */
  readonly #applications = new Map<number, Promise<Acceptance>>()

  constructor(parts: PeerOrdersParts) {
    this.#parts = parts
  }

  /** Gives the event that tells of the end. */
  async carryOut(order: AwaitedPeerOrder): Promise<RoleStepEnd> {
    const { questions, commands } = this.#parts
    switch (order.do) {
      case 'ask':
        if (order.isOfOne)
          return { type: 'answered', answers: await questions.ask(order.whom), unheard: [] }
        return { type: 'answered', ...(await questions.askAll(order.whom)) }
      case 'readClock':
        return {
          type: 'clockRead',
          aheadMs: (await commands.clock(order.address, order.timeoutMs))?.aheadMs,
        }
      case 'giveTo':
        return { type: 'taken', ...(await commands.takeOver(order)) }
      case 'tellToFollow':
        await commands.follow(order.address)
        return { type: 'told' }
    }
  }

  /** The node there finds out by itself when it cannot be told. */
  tellInBackground(address: string, about: object, text: string): void {
    const { commands, log } = this.#parts
    commands.follow(address).catch((error) => log.warn({ ...about, error: messageOf(error) }, text))
  }

  awaitApplication(request: number, address: string): void {
    const { calls } = this.#parts
    const accepts = untilApplicationAccepts(calls, address, APPLICATION_MS)
    this.#applications.set(request, accepts)
  }

  /**
   * Of the new leader after this switchover; undefined when it was not waited for. To be asked for
   * once.
   */
  applicationAfter(request: number): Promise<Acceptance> | undefined {
    const acceptance = this.#applications.get(request)
    this.#applications.delete(request)
    return acceptance
  }
}
