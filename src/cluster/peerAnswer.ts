/** What a node answers to the question who leads. */
import { name, nodeId, time } from '../../proto/fields.ts'
import { parseTrail } from '../../proto/lineage.ts'

const ROLES: readonly unknown[] = ['leader', 'replica', 'standby']

/** The answer of a node to `GET /leader`. `PeerQuestions` judges what it claims. */
export interface PeerAnswer {
  /** The address that was asked. */
  readonly asked: string
  readonly node: string
  /** Random id of its process; '' from a version without one. */
  readonly instance: string
  /** Age of its process, ms. */
  readonly upMs: number
  readonly cluster: string
  readonly role: 'leader' | 'replica' | 'standby'
  readonly ready: boolean
  readonly epoch: number
  /** The last epoch that, as far as it knows, began with a promotion. */
  readonly term: number
  readonly txid: number
  /** Epoch of its position. The epoch in its role file may be higher. */
  readonly positionEpoch: number
  /** Its history in the format of `formatTrail`; '' when unknown. */
  readonly history: string
  /** Id of the node that led in the highest epoch that it knows; '' when it knows none. */
  readonly lastLeader: string
  /** HOST:PORT of its leader: its own while it leads, '' when it knows none. */
  readonly address: string
  /** Reading of its clock. */
  readonly timeMs: number
  /** Digest of its trust record; '' when it has none. */
  readonly trust: string
  /** Whether it takes plain text at its address. */
  readonly takesPlainText: boolean
}

/** Its numbers, its node and its address are not judged: `Claims` and `wrongIn` do. */
export function parsePeerAnswer(
  asked: string,
  value: Record<string, unknown>,
): PeerAnswer | undefined {
  const { node, cluster, role, ready, epoch, term, txid, address, timeMs } = value
  const { instance = '', upMs = 0, positionEpoch = 0, history = '', lastLeader = '' } = value
  const trust = typeof value['trust'] === 'string' ? value['trust'].slice(0, 64) : ''
  const takesPlainText = value['plaintext'] !== false
  const isWhole =
    typeof node === 'string' &&
    node !== '' &&
    name.accepts(instance) &&
    isDuration(upMs) &&
    name.accepts(cluster) &&
    ROLES.includes(role) &&
    typeof ready === 'boolean' &&
    [epoch, term, txid, positionEpoch].every((value) => typeof value === 'number') &&
    typeof history === 'string' &&
    parseTrail(history) !== undefined &&
    nodeId.accepts(lastLeader) &&
    typeof address === 'string' &&
    time.accepts(timeMs)
  if (!isWhole) return undefined
  const place = { asked, node, instance, upMs, cluster, role, ready, address, timeMs }
  const numbers = { epoch, term, txid, positionEpoch }
  return { ...place, ...numbers, history, lastLeader, trust, takesPlainText } as PeerAnswer
}

/** The age of a process may seem longer than any duration, when its clock was set. */
function isDuration(value: unknown): boolean {
  return Number.isFinite(value) && Number(value) >= 0
}
