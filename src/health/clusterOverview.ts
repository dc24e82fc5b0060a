/**
 * Asks all other nodes for their status and puts one list together. Rounds never overlap: whoever
 * asks meanwhile gets the result of the one under way. A node that does not answer costs the round
 * its time limit and no more.
 */
import {
  CLUSTER_REUSE_MS,
  type ClusterAnswer,
  type ClusterDesk,
  MAX_CLUSTER_NODES,
} from '../api/clusterOverview.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import type { NodeStatus } from '../api/nodeStatus.ts'
import type { NodePlace } from '../api/roleAnswers.ts'
import type { PauseInfo } from '../api/rolePause.ts'
import type { PeerReads } from '../cluster/peerReads.ts'
import { plainText } from '../plainText.ts'
import { monotonicMs } from '../platform/time.ts'
import type { Claims } from '../security/claims.ts'
import { type ClusterSights, clusterNodes, type Heard } from './clusterNodes.ts'
import { noAnswerText } from './noAnswerText.ts'
import { type ToldStatus, toldStatus } from './toldStatus.ts'

const STATUS_PATH = '/_walcast/status'
/** The longest status of another node. */
const MAX_STATUS_BYTES = 1024 * 1024
/** The most nodes that are asked at once. */
const AT_ONCE = 32
/** The longest wait for one node, whatever --peer-timeout says, ms. */
const MAX_CALL_MS = 3000
/** The longest round, ms: those that were not asked by then count as not answering. */
const ROUND_MS = 5000
const MAX_WHY_CHARS = 300

export interface ClusterOverviewParts {
  /** Name of the database that the list is about. */
  readonly database: string
  /** HOST:PORT of this node. */
  readonly address: string
  readonly peerTimeoutMs: number
  /** HOST:PORT from --leader. */
  readonly givenLeader: string | undefined
  readonly report: { status(): NodeStatus }
  readonly pause: { readonly now: PauseInfo | undefined }
  readonly view: Pick<DatabaseView, 'role' | 'leaderAddress' | 'leaderAt'>
  readonly reads: Pick<PeerReads, 'read'>
  /** Judges the numbers that other nodes claim. */
  readonly claims: Pick<Claims, 'refuse'>
  /** The other members, with addresses. */
  members(): readonly NodePlace[]
  /** All addresses at which nodes may be, also those that were given. */
  addresses(): readonly string[]
  isRemoved(node: string): boolean
  /** Reading of this node's clock. */
  nowMs(): number
}

interface Round {
  /** HOST:PORT of all that were asked. */
  readonly asked: ReadonlySet<string>
  readonly answers: ReadonlyMap<string, Heard>
  readonly failed: ReadonlyMap<string, string>
}

/** The asked node. */
type Self = Pick<NodeStatus, 'node' | 'cluster'>

export class ClusterOverview implements ClusterDesk {
  readonly #parts: ClusterOverviewParts
  /** By id: the last answer of each node; those that answered last stand last. */
  readonly #remembered = new Map<string, Heard>()
  /** By HOST:PORT: the node that last answered there. */
  readonly #nodesAt = new Map<string, string>()
  #asking: Promise<Round> | undefined
  #last: { readonly round: Round; readonly endedMs: number } | undefined

  constructor(parts: ClusterOverviewParts) {
    this.#parts = parts
  }

  async answer(): Promise<ClusterAnswer> {
    const round = await this.#round()
    const { database, members, isRemoved, nowMs } = this.#parts
    const own = this.#own()
    const sights: ClusterSights = {
      own,
      ...round,
      remembered: this.#remembered,
      members: members().filter(({ node }) => node !== own.status.node),
      leaderSeen: this.#leaderSeen(),
      nowMs: nowMs(),
      isRemoved,
    }
    const { node: asked, cluster } = own.status
    const paused = this.#parts.pause.now
    return { asked, cluster, database, ...clusterNodes(sights), ...(paused ? { paused } : {}) }
  }

  async #round(): Promise<Round> {
    const last = this.#last
    const isFresh = last && monotonicMs() - last.endedMs < CLUSTER_REUSE_MS
    // A node that came since has to be asked.
    if (isFresh && this.#toAsk().every((each) => last.round.asked.has(each))) return last.round
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #ask(): Promise<Round> {
    const answers = new Map<string, Heard>()
    const failed = new Map<string, string>()
    const left = this.#toAsk()
    const asked = new Set(left)
    const self = this.#parts.report.status()
    const endMs = monotonicMs() + ROUND_MS
    const askNext = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const heard = await this.#askOne(next, self, endMs - monotonicMs())
        if (typeof heard === 'string') failed.set(next, heard)
        else if (heard) answers.set(heard.status.node, heard)
      }
    }
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, left.length) }, askNext))
    for (const address of this.#knownPlaces(answers)) failed.delete(address)
    const round = { asked, answers, failed }
    this.#last = { round, endedMs: monotonicMs() }
    return round
  }

  /** Those that answered last time come first: the others may use up the time of the round. */
  #toAsk(): string[] {
    const { address, addresses, members, givenLeader, view } = this.#parts
    const places = [
      ...members().map((member) => member.address),
      ...addresses(),
      ...(givenLeader ? [givenLeader] : []),
      view.leaderAddress(),
    ]
    const others = [...new Set(places)].filter((each) => each !== '' && each !== address)
    const failed = this.#last?.round.failed
    others.sort((a, b) => Number(failed?.has(a) ?? false) - Number(failed?.has(b) ?? false))
    return others.slice(0, MAX_CLUSTER_NODES)
  }

  /** A second address of a node that answered elsewhere tells nothing. */
  #knownPlaces(answers: ReadonlyMap<string, Heard>): string[] {
    return [...this.#nodesAt].filter(([, node]) => answers.has(node)).map(([address]) => address)
  }

  /** Why there is no answer; undefined for the answer of this node itself. */
  async #askOne(address: string, self: Self, leftMs: number): Promise<Heard | string | undefined> {
    if (leftMs <= 0) return 'others used up the time of the round'
    const { reads, peerTimeoutMs, nowMs } = this.#parts
    const timeoutMs = Math.min(peerTimeoutMs, MAX_CALL_MS, leftMs)
    try {
      const told = await reads.read(address, STATUS_PATH, timeoutMs, MAX_STATUS_BYTES)
      const status = toldStatus(told.value)
      const wrong = status && this.#wrongIn(status, told.node, self)
      if (!status || wrong !== undefined) return wrong ?? 'its answer is not the status of a node'
      this.#remember(this.#nodesAt, address, status.node)
      if (status.node === self.node) return undefined
      const heard = { status, address: this.#addressOf(status.node) ?? address, atMs: nowMs() }
      this.#remember(this.#remembered, status.node, heard)
      return heard
    } catch (error) {
      return plainText(noAnswerText(error), MAX_WHY_CHARS)
    }
  }

  /** `prover`: who proved to have answered; '' in an open cluster. */
  #wrongIn(status: ToldStatus, prover: string, { cluster }: Self): string | undefined {
    if (prover !== '' && prover !== status.node) return `${prover} answers for ${status.node}`
    if (cluster !== '' && status.cluster !== '' && status.cluster !== cluster)
      return `node ${status.node} of another cluster is there`
    return this.#parts.claims.refuse(status)?.message
  }

  #remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
    map.delete(key)
    map.set(key, value)
    const [oldest] = map.keys()
    if (map.size > MAX_CLUSTER_NODES) map.delete(oldest)
  }

  #addressOf(node: string): string | undefined {
    return this.#parts.members().find((member) => member.node === node)?.address
  }

  #own(): Heard {
    const { report, address, nowMs } = this.#parts
    const status = toldStatus(report.status())
    if (!status) throw new Error('the status of this node is not one')
    return { status, address, atMs: nowMs() }
  }

  #leaderSeen(): ClusterSights['leaderSeen'] {
    const { view, nowMs } = this.#parts
    const { epoch, txid, agoMs } = view.leaderAt()
    if (view.role() === 'leader' || !Number.isFinite(agoMs)) return undefined
    return { epoch, txid, address: view.leaderAddress(), atMs: nowMs() - agoMs }
  }
}
