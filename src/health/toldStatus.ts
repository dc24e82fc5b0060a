/**
 * What a list of all nodes needs of the status of one. The answers of other nodes are checked and
 * bounded here: they go to terminals and pages.
 */
import { type ClusterCause, type ClusterNode, MAX_CLUSTER_NODES } from '../api/clusterOverview.ts'
import type { NodeRole } from '../api/roleAnswers.ts'
import { isNodeId } from '../nodeId.ts'
import { type ToldElection, toldElection } from './toldElection.ts'
import {
  amountIn,
  type Fields,
  isCount,
  listIn,
  MAX_WORD_CHARS,
  textIn,
  timeIn,
} from './toldFields.ts'

/** What a node tells of a replica that it feeds, fed, or hears of through others. */
export interface HeardReplica {
  readonly node: string
  readonly address: string
  readonly epoch: number | null
  readonly txid: number | null
  readonly lagMs: number
  readonly connected: boolean
  readonly state: string
  /** When it was last heard of, ms since 1970 in the clock of the node that tells. */
  readonly seenMs: number
}

export interface ToldStatus {
  readonly node: string
  /** '' before its first copy. */
  readonly cluster: string
  readonly role: NodeRole
  /** ISO time. */
  readonly roleSince: string | null
  readonly state: string
  readonly epoch: number
  readonly txid: number
  readonly lagMs: number
  readonly txidLag: number
  readonly connected: boolean
  /** Id or address of its leader; '' when it knows none. */
  readonly leader: string
  readonly version: string
  readonly ack: string | null
  readonly bundles: number
  readonly causes: readonly ClusterCause[]
  readonly restorableUntil: ClusterNode['restorableUntil']
  readonly replicas: readonly HeardReplica[]
  /** Absent with --election static. */
  readonly election?: ToldElection
}

const ROLES: readonly unknown[] = ['leader', 'replica', 'standby']
const MAX_CAUSES = 16
const MAX_ADDRESS_CHARS = 261
const MAX_CAUSE_CHARS = 500
const MAX_PLACES = 64
const MAX_BUNDLES = 10_000

/** Undefined when `value` is not the status of a node. Further fields are not looked at. */
export function toldStatus(value: unknown): ToldStatus | undefined {
  const status: Fields = Object(value)
  const { node, role, epoch, txid } = status
  const lag: Fields = Object(status['lag'])
  if (typeof node !== 'string' || !isNodeId(node) || !ROLES.includes(role)) return undefined
  if (!isCount(epoch) || !isCount(txid)) return undefined
  const election = toldElection(status['election'])
  return {
    ...{ node, role: role as NodeRole, epoch, txid },
    cluster: textIn(status, 'cluster', MAX_ADDRESS_CHARS),
    roleSince: timeIn(status, 'roleSince'),
    state: textIn(status, 'state', MAX_WORD_CHARS),
    lagMs: amountIn(lag, 'lagMs'),
    txidLag: amountIn(lag, 'txidLag'),
    connected: lag['connected'] === true,
    leader: textIn(status, 'leader', MAX_ADDRESS_CHARS),
    version: textIn(status, 'version', MAX_WORD_CHARS),
    ack: textIn(status, 'ack', MAX_WORD_CHARS) || null,
    bundles: listIn(status, 'diverged', MAX_BUNDLES).length,
    causes: listIn(status, 'causes', MAX_CAUSES).map((cause) => ({
      code: textIn(cause, 'code', MAX_WORD_CHARS),
      text: textIn(cause, 'text', MAX_CAUSE_CHARS),
    })),
    restorableUntil: newestRestorable(Object(status['backup'])),
    replicas: listIn(status, 'replicas', MAX_CLUSTER_NODES).flatMap((each) => heard(each) ?? []),
    ...(election ? { election } : {}),
  }
}

/** Of all places that the node writes to. */
function newestRestorable(backup: Fields): ToldStatus['restorableUntil'] {
  const points = listIn(backup, 'places', MAX_PLACES)
    .map((place): Fields => Object(place['restorableUntil']))
    .map((point) => ({
      position: textIn(point, 'position', MAX_WORD_CHARS),
      at: textIn(point, 'at', MAX_WORD_CHARS),
    }))
    .filter(({ position, at }) => position !== '' && Number.isFinite(Date.parse(at)))
  return points.toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at))[0] ?? null
}

function heard(replica: Fields): HeardReplica | undefined {
  const { node, epoch, txid } = replica
  const seenMs = Date.parse(textIn(replica, 'lastSeen', MAX_WORD_CHARS))
  if (typeof node !== 'string' || !isNodeId(node) || !Number.isFinite(seenMs)) return undefined
  const hasPosition = isCount(epoch) && isCount(txid)
  return {
    node,
    address: textIn(replica, 'address', MAX_ADDRESS_CHARS),
    epoch: hasPosition ? epoch : null,
    txid: hasPosition ? txid : null,
    lagMs: amountIn(replica, 'lagMs'),
    connected: replica['connected'] === true,
    state: textIn(replica, 'state', MAX_WORD_CHARS),
    seenMs,
  }
}
