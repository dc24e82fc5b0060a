/**
 * The nodes of a cluster in one list, from what each told: its own answer, and for one that does
 * not answer what the others hear of it and what it said last. Pure.
 */
import { formatPosition, type Position } from '../../proto/position.ts'
import {
  AWAY,
  type ClusterAnswer,
  type ClusterCause,
  type ClusterNode,
  MAX_CLUSTER_NODES,
  NO_ANSWER,
  type NodeElection,
} from '../api/clusterOverview.ts'
import type { NodePlace } from '../api/roleAnswers.ts'
import { clusterElection } from './clusterElection.ts'
import type { ToldElection } from './toldElection.ts'
import type { HeardReplica, ToldStatus } from './toldStatus.ts'

/** Code of the cause that a node leads beside the leader. */
const SECOND_LEADER = 'second-leader'

/** The answer of a node, now or earlier. */
export interface Heard {
  readonly status: ToldStatus
  /** Where others reach it. */
  readonly address: string
  /** When it came, ms since 1970 in the clock of the asked node. */
  readonly atMs: number
}

/** What the asked node knows after it has asked all others. */
export interface ClusterSights {
  /** Of itself. */
  readonly own: Heard
  /** By id: the others that answered in the last round. */
  readonly answers: ReadonlyMap<string, Heard>
  /** By id: the last answers of those that did not. */
  readonly remembered: ReadonlyMap<string, Heard>
  /** By HOST:PORT: why no node answered there. */
  readonly failed: ReadonlyMap<string, string>
  /** The other members. */
  readonly members: readonly NodePlace[]
  /** What the asked node last heard of the leader that it follows. */
  readonly leaderSeen: (Position & { readonly address: string; readonly atMs: number }) | undefined
  readonly nowMs: number
  isRemoved(node: string): boolean
}

export function clusterNodes(
  sights: ClusterSights,
): Pick<ClusterAnswer, 'leader' | 'epoch' | 'election' | 'nodes'> {
  const listed = new Listed(sights)
  const epoch = Math.max(...listed.now.map(({ status }) => status.epoch))
  const nodes = [...listed.ids].map((node) => listed.row(node))
  const all = [...nodes, ...strangers(sights, nodes)]
  const order = (each: ClusterNode) => (each.node === listed.leader ? 0 : each.node === '' ? 2 : 1)
  const name = ({ node, address }: ClusterNode) => node || address
  all.sort((a, b) => order(a) - order(b) || (name(a) < name(b) ? -1 : 1))
  const told = listed.now.map(({ status }) => status)
  const election = clusterElection(told, listed.leader)
  return {
    ...{ leader: listed.leader, epoch },
    ...(election ? { election } : {}),
    nodes: all.slice(0, MAX_CLUSTER_NODES),
  }
}

class Listed {
  readonly #sights: ClusterSights
  readonly #hearsay: ReadonlyMap<string, HeardReplica>
  /** This node first, then all that answered. */
  readonly now: readonly Heard[]
  readonly leader: string | null
  readonly ids: ReadonlySet<string>
  /** Where the leader stands, if that is known. */
  readonly #leaderTxid: number | undefined

  constructor(sights: ClusterSights) {
    this.#sights = sights
    this.now = [sights.own, ...sights.answers.values()]
    this.#hearsay = hearsayOf(this.now)
    const ids = [
      ...this.now.map(({ status }) => status.node),
      ...sights.members.map(({ node }) => node),
      ...this.#hearsay.keys(),
    ]
    this.ids = new Set(ids.filter((node) => !sights.isRemoved(node)))
    this.leader = this.#leads()
    const leading = this.now.find(({ status }) => status.node === this.leader)
    this.#leaderTxid = leading?.status.txid ?? sights.leaderSeen?.txid
  }

  row(node: string): ClusterNode {
    const heard = this.now.find(({ status }) => status.node === node)
    return heard ? this.#present(heard) : this.#absent(node)
  }

  #leads(): string | null {
    const latest = this.now.toSorted((a, b) => b.status.epoch - a.status.epoch)
    const leading = latest.find(({ status }) => status.role === 'leader')
    const told = latest.find(({ status }) => status.connected && status.leader !== '')
    // A node that leads on in an older epoch is not the leader of those that follow another one.
    const isOlder = told && leading && told.status.epoch > leading.status.epoch
    if (leading && !isOlder) return leading.status.node
    return told ? this.#idOf(told.status.leader) : null
  }

  /** Of an id or an address. */
  #idOf(name: string): string | null {
    if (this.ids.has(name)) return name
    return [...this.ids].find((node) => this.#addressOf(node) === name) ?? null
  }

  #addressOf(node: string): string {
    const { members, remembered } = this.#sights
    return (
      members.find((member) => member.node === node)?.address ??
      this.now.find(({ status }) => status.node === node)?.address ??
      remembered.get(node)?.address ??
      this.#hearsay.get(node)?.address ??
      ''
    )
  }

  #present({ status, address, atMs }: Heard): ClusterNode {
    const { node, role, roleSince, state, epoch, txid, version, ack, restorableUntil } = status
    const leads = role === 'leader'
    const election = status.election && nodeElection(status.election)
    const behindTxids = status.connected ? status.txidLag : (this.#behind(txid) ?? status.txidLag)
    return {
      ...{ node, address, role, roleSince, state, version, ack, restorableUntil },
      bundles: status.bundles,
      position: formatPosition({ epoch, txid }),
      lagMs: leads ? 0 : status.lagMs,
      behindTxids: leads ? 0 : behindTxids,
      ageMs: Math.max(0, Math.round(this.#sights.nowMs - atMs)),
      isReachable: true,
      awaySince: null,
      causes: [...this.#rivalry(status), ...status.causes],
      ...(election ? { election } : {}),
    }
  }

  #rivalry({ node, role, epoch }: ToldStatus): ClusterCause[] {
    if (role !== 'leader' || this.leader === null || this.leader === node) return []
    const text = `it leads in epoch ${epoch}, while ${this.leader} is the leader`
    return [{ code: SECOND_LEADER, text }]
  }

  #absent(node: string): ClusterNode {
    const { remembered, nowMs } = this.#sights
    const last = remembered.get(node)
    const told = this.#hearsay.get(node)
    const address = this.#addressOf(node)
    const lead = this.#leaderSeenAt(node, address)
    const seenMs = Math.max(last?.atMs ?? 0, told?.seenMs ?? 0, lead?.atMs ?? 0)
    const position = newestOf(last?.status, told, lead)
    const isHeard = told?.connected === true
    return {
      ...{ node, address },
      role: this.#roleOf(node, last, lead !== undefined),
      roleSince: last?.status.roleSince ?? null,
      state: told && isHeard ? told.state : AWAY,
      position: position ? formatPosition(position) : null,
      lagMs: told ? told.lagMs : null,
      behindTxids: position ? (this.#behind(position.txid) ?? null) : null,
      ageMs: seenMs > 0 ? Math.max(0, Math.round(nowMs - seenMs)) : null,
      version: last?.status.version ?? null,
      isReachable: false,
      awaySince: seenMs > 0 && !isHeard ? new Date(seenMs).toISOString() : null,
      causes: [this.#silence(address, isHeard)],
      ack: last?.status.ack ?? null,
      bundles: last?.status.bundles ?? null,
      restorableUntil: last?.status.restorableUntil ?? null,
    }
  }

  #roleOf(node: string, last: Heard | undefined, wasFollowed: boolean): ClusterNode['role'] {
    const role = last?.status.role ?? (wasFollowed ? 'leader' : undefined)
    const isReplaced = role === 'leader' && this.leader !== null && this.leader !== node
    if (role !== undefined && !isReplaced) return role
    return this.#hearsay.has(node) ? 'replica' : null
  }

  #leaderSeenAt(node: string, address: string): ClusterSights['leaderSeen'] {
    const { leaderSeen, own } = this.#sights
    const isIt = own.status.leader === node || (address !== '' && leaderSeen?.address === address)
    return isIt ? leaderSeen : undefined
  }

  #behind(txid: number): number | undefined {
    return this.#leaderTxid === undefined ? undefined : Math.max(0, this.#leaderTxid - txid)
  }

  #silence(address: string, isHeard: boolean): ClusterCause {
    const { failed, own } = this.#sights
    const asked = own.status.node
    const why = failed.get(address)
    const heard = isHeard ? '; another node still hears it' : ''
    const text =
      why === undefined
        ? `${asked} knows no address of it to ask${heard}`
        : `it does not answer ${asked} at ${address}: ${why}${heard}`
    return { code: NO_ANSWER, text }
  }
}

function nodeElection({ awayForMs, notPromoted }: ToldElection): NodeElection {
  return { awayForMs, notPromoted }
}

/** The best word on each replica: of a node that hears it now, else the latest. */
function hearsayOf(now: readonly Heard[]): Map<string, HeardReplica> {
  const best = new Map<string, HeardReplica>()
  for (const replica of now.flatMap(({ status }) => status.replicas)) {
    const known = best.get(replica.node)
    const isBetter =
      !known ||
      (replica.connected === known.connected ? replica.seenMs > known.seenMs : replica.connected)
    if (isBetter) best.set(replica.node, replica)
  }
  return best
}

function newestOf(
  ...places: readonly (
    | { readonly epoch: number | null; readonly txid: number | null }
    | undefined
  )[]
): Position | undefined {
  const known = places.flatMap((place) =>
    place && place.epoch !== null && place.txid !== null
      ? [{ epoch: place.epoch, txid: place.txid }]
      : [],
  )
  return known.toSorted((a, b) => b.epoch - a.epoch || b.txid - a.txid)[0]
}

/** Addresses that the operator gave, where no node has answered yet. */
function strangers({ failed }: ClusterSights, nodes: readonly ClusterNode[]): ClusterNode[] {
  const known = new Set(nodes.map(({ address }) => address))
  return [...failed].flatMap(([address, why]) =>
    known.has(address)
      ? []
      : [
          {
            ...{
              node: '',
              address,
              role: null,
              roleSince: null,
              state: AWAY,
              position: null,
              lagMs: null,
            },
            ...{ behindTxids: null, ageMs: null, version: null, isReachable: false },
            ...{ awaySince: null, ack: null, bundles: null, restorableUntil: null },
            causes: [{ code: NO_ANSWER, text: `no node answers at ${address}: ${why}` }],
          },
        ],
  )
}
