/**
 * Carries out what is ordered and done at once: clients' requests, the list of replicas, what is
 * told.
 */
import type { Logger } from 'pino'
import type { Members } from '../cluster/members.ts'
import { keyOf, messageOf, type WalcastError } from '../errors.ts'
import type { ReplicaList } from '../feed/replicaList.ts'
import type { SeenHistory } from '../feed/seenHistory.ts'
import type { Traffic } from '../proxy/traffic.ts'
import { Deferred } from './deferred.ts'
import type { Election } from './election/election.ts'
import type { EngineSlot } from './engineSlot.ts'
import type { RoleJournal } from './roleJournal.ts'
import type { InstantOrder, LastPlaces } from './state/roleOrders.ts'
import type { TwinWatch } from './twinWatch.ts'

export interface InstantOrdersParts {
  readonly log: Logger
  readonly traffic: Traffic
  readonly replicas: ReplicaList
  readonly members: Members
  readonly journal: RoleJournal
  readonly slot: EngineSlot
  readonly start: LeadingStart
  /** Undefined when operators alone decide who leads. */
  readonly election: Pick<Election, 'release'> | undefined
  readonly onFatal: (error: WalcastError) => void
}

/** Without those that end what somebody waits for. */
export type PlainOrder = Exclude<
  InstantOrder,
  { readonly do: 'answer' | 'refuse' | 'started' | 'startFailed' | 'stopEngine' }
>

const FENCE_TRY_MS = 50

export class InstantOrders {
  readonly #parts: InstantOrdersParts

  constructor(parts: InstantOrdersParts) {
    this.#parts = parts
  }

  carryOut(order: PlainOrder): void {
    const { log, traffic, replicas, journal, slot, start, onFatal } = this.#parts
    const { admission } = traffic
    switch (order.do) {
      case 'permitLeading':
        return start.permit(order.seen)
      case 'forbidLeading':
        return start.forbid(order.error)
      case 'releaseLease':
        return this.#parts.election?.release()
      case 'fenceMeanwhile':
        return this.#fence()
      case 'holdWrites':
        return admission.hold(order.for, order.reason)
      case 'releaseWrites':
        return admission.release(order.for)
      case 'refuseWrites':
        return admission.refuseWith(order.error)
      case 'serveAsLeader':
        return traffic.onLeading()
      case 'serveAsReplica':
        return traffic.onFollowing(order.leader)
      case 'forgetReplicas':
        return replicas.clear()
      case 'expectReplicas':
        return this.#expect(order.places)
      case 'announceStop':
        return slot.engine?.announceStop()
      case 'tellChange':
        return journal.changed(order.reason, order.by)
      case 'log':
        return log[order.level](order.about, order.text)
      case 'fail':
        return onFatal(order.error)
    }
  }

  /** A transaction of the application may have it: it is tried again as long as it matters. */
  #fence(): void {
    const { slot, log } = this.#parts
    slot.leading?.leader.takeFence(FENCE_TRY_MS).catch((error) => {
      if (keyOf(error) !== 'FENCE_FAILED')
        log.error({ error: messageOf(error) }, 'the write lock could not be taken')
    })
  }

  /** Those who were there are missed until they come. */
  #expect(places: LastPlaces): void {
    const { replicas, members } = this.#parts
    replicas.expect(members.list().map((member) => ({ ...member, ...places.get(member.node) })))
  }
}

/** The engine of a leader that starts asks whether it may let anybody write. */
export class LeadingStart {
  readonly #twins: TwinWatch
  #asked: Deferred<readonly SeenHistory[]> | undefined

  constructor(twins: TwinWatch) {
    this.#twins = twins
  }

  /**
   * `ask` has the others asked. Gives what they have seen of this node's own history. Throws
   * NODE_ID_TAKEN or HIGHER_EPOCH.
   */
  async mayLead(ask: () => void): Promise<readonly SeenHistory[]> {
    this.#asked = new Deferred()
    ask()
    const seen = await this.#asked.promise
    return seen
  }

  permit(seen: readonly SeenHistory[]): void {
    this.#decide((asked) => asked.resolve(seen))
  }

  forbid(error: WalcastError): void {
    this.#decide((asked) => asked.reject(error))
  }

  #decide(end: (asked: Deferred<readonly SeenHistory[]>) => void): void {
    const asked = this.#asked
    if (!asked) return
    try {
      this.#twins.requireOwn()
      end(asked)
    } catch (error) {
      asked.reject(error)
    }
  }
}
