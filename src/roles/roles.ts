/**
 * The roles that a node has one after another, within one process: the application keeps its file
 * and its connections. What follows from what is decided in `roleState.ts`; here is put together
 * what moves it and what carries out its orders.
 */
import { onlyDatabase } from '../api/databases.ts'
import type { PeersFile } from '../cluster/peersFile.ts'
import type { Database } from '../database/database.ts'
import type { EngineParts } from '../database/engine.ts'
import type { ReplicaList } from '../feed/replicaList.ts'
import { ownAddress } from '../options/address.ts'
import type { Election } from './election/election.ts'
import type { LeaseValidity } from './election/leaseValidity.ts'
import { newElection } from './election/newElection.ts'
import type { OpenLeaseService } from './election/openLeaseService.ts'
import { PeerQuestions, type TrustDigests } from './election/peerQuestions.ts'
import type { Standstill } from './election/standstill.ts'
import { EngineOrders } from './engineOrders.ts'
import { EngineSlot } from './engineSlot.ts'
import { InstantOrders, LeadingStart } from './instantOrders.ts'
import { LeaseOrders } from './leaseOrders.ts'
import { NodeFacts } from './nodeFacts.ts'
import { PeerCommands } from './peerCommands.ts'
import { PeerOrders } from './peerOrders.ts'
import { RoleDriver } from './roleDriver.ts'
import type { RoleInbox } from './roleInbox.ts'
import type { RoleJournal } from './roleJournal.ts'
import { RoleRequests, type RoleRequestsParts } from './roleRequests.ts'
import { beforeStart } from './state/startup.ts'
import { TwinWatch } from './twinWatch.ts'

/** What an engine needs beside what belongs to its database. */
type OtherEngineParts = Omit<
  EngineParts,
  'db' | 'path' | 'stateFolder' | 'replicas' | 'mayLead' | 'countsReplica' | 'onNews'
>

export interface RolesParts extends OtherEngineParts {
  /** All of them have the node's role; there is one today. */
  readonly databases: ReadonlyMap<string, Database>
  readonly peersFile: PeersFile
  readonly journal: RoleJournal
  readonly standstill: Standstill
  readonly inbox: RoleInbox
  readonly trust: TrustDigests
  readonly pause: RoleRequestsParts['pause']
  /** Both undefined when operators alone decide who leads. */
  readonly validity: LeaseValidity | undefined
  readonly openLease: OpenLeaseService
}

export class Roles {
  readonly #driver: RoleDriver
  readonly #standstill: Standstill
  readonly #pause: RolesParts['pause']
  readonly #leaseOrders: LeaseOrders
  /** Undefined when operators alone decide who leads. */
  readonly election: Election | undefined
  readonly requests: RoleRequests

  constructor(parts: RolesParts) {
    const { setup, clock, nodeFile, members, traffic, instance, journal, inbox } = parts
    const { calls, claims } = parts
    const { name: db, path, stateFolder, replicas, view } = onlyDatabase(parts.databases)
    const { log, options } = setup
    const address = ownAddress(options)
    const slot = new EngineSlot(view, parts.onMoved)
    const commands = new PeerCommands({ setup, calls, nodeFile, address, claims })
    const twins = new TwinWatch({
      log,
      instance,
      nodeFile,
      address,
      commands,
      onFatal: parts.onFatal,
    })
    const questions = new PeerQuestions({
      timeoutMs: options.peerTimeoutMs,
      calls,
      nodeFile,
      address,
      instance,
      members,
      trust: parts.trust,
      twins,
      claims,
    })
    const start = new LeadingStart(twins)
    const engineParts: EngineParts = {
      ...parts,
      db,
      path,
      stateFolder,
      replicas,
      mayLead: () => start.mayLead(() => inbox.post({ type: 'mayLeadAsked' })),
      countsReplica: (node) => this.election?.counts(node) ?? true,
      onNews: (news) => inbox.post(news),
    }
    const { admission } = traffic
    const lease = () => this.election?.facts
    const facts = new NodeFacts({
      setup,
      clock,
      nodeFile,
      members,
      replicas,
      admission,
      slot,
      lease,
    })
    this.election = electionOf(parts, facts, questions, replicas)
    this.#leaseOrders = new LeaseOrders(this.election, () => nodeFile.record.node)
    this.#standstill = parts.standstill
    this.#pause = parts.pause
    this.#driver = new RoleDriver(
      {
        inbox,
        facts,
        questions,
        engineOrders: new EngineOrders(engineParts, slot, this.election),
        leaseOrders: this.#leaseOrders,
        peerOrders: new PeerOrders({ log, questions, commands, calls }),
        instantOrders: new InstantOrders({
          ...parts,
          election: this.election,
          replicas,
          log,
          slot,
          start,
        }),
        slot,
        journal,
        onFatal: parts.onFatal,
        lookMs: options.peerLookMs,
      },
      beforeStart(nodeFile.record.role),
    )
    this.requests = new RoleRequests({
      ...parts,
      election: this.election,
      view,
      driver: this.#driver,
      facts,
      questions,
      commands,
      slot,
    })
  }

  /**
   * Whether the node has come up in its first role: from then on requests say themselves why they
   * are not done.
   */
  get hasStarted(): boolean {
    return this.#driver.hasStarted
  }

  /** In the role of the role file, unless another node leads by now. */
  async start(): Promise<void> {
    // Before the others are asked for the first time: a node may stand still while it starts.
    this.#standstill.begin()
    await this.election?.begin()
    await this.#driver.start()
    this.election?.onStarted()
  }

  announceStop(): void {
    this.#driver.announceStop()
  }

  async stop(): Promise<void> {
    try {
      await this.#driver.stop()
    } finally {
      // A pause is for an operator who works on this node: it leads again afterwards.
      await this.election?.stop(this.#pause.now !== undefined)
    }
  }
}

function electionOf(
  parts: RolesParts,
  facts: NodeFacts,
  questions: PeerQuestions,
  replicas: ReplicaList,
): Election | undefined {
  const { setup, openLease: open, validity, inbox, claims, metrics } = parts
  if (!open || !validity) return undefined
  const { options, log } = setup
  return newElection({
    ...parts,
    ...{ open, validity, options, log, replicas, questions, facts },
    metrics: metrics.election(),
    news: {
      elected: (epoch, reason) => inbox.post({ type: 'elected', epoch, reason }),
      leaseMoved: (leader) => {
        if (claims.refuse({ epoch: leader.epoch }) === undefined)
          inbox.post({ type: 'leaseMoved', ...leader })
      },
      leaseDue: () => inbox.post({ type: 'leaseDue' }),
    },
  })
}
