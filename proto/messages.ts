/** The messages of the protocol: PROTOCOL.md says what each is for and when it may be sent. */
import {
  address,
  type BodyOf,
  checksum,
  count,
  counted,
  duration,
  type Fields,
  fileMode,
  flag,
  incarnation,
  incarnationBefore,
  name,
  nodeId,
  oneOf,
  pageNumber,
  pageSize,
  prose,
  time,
  trail,
} from './fields.ts'

/** What the payload of a message holds. */
export type PayloadKind = 'none' | 'pages' | 'sums' | 'groups'

interface Definition {
  readonly code: number
  readonly payload: PayloadKind
  readonly fields: Fields
}

const define = <const D extends Definition>(definition: D): D => definition

export const MESSAGES = {
  /** Replica to leader, first message: where the replica stands. */
  hello: define({
    code: 1,
    payload: 'none',
    fields: {
      db: name,
      node: nodeId,
      cluster: name,
      instance: name,
      upMs: duration,
      epoch: counted,
      txid: counted,
      history: trail,
      highestEpoch: counted,
      term: counted,
      leader: nodeId,
      checksum,
      pageSize,
      pages: pageNumber,
      version: name,
      advertise: address,
      lagMs: duration,
    },
  }),
  /**
   * Leader to replica, its answer: batches follow (`resume`), or the replica is to send what it has
   * (`sync`).
   */
  welcome: define({
    code: 2,
    payload: 'none',
    fields: {
      db: name,
      node: nodeId,
      cluster: name,
      instance: name,
      epoch: counted,
      incarnation,
      term: counted,
      txid: counted,
      checksum,
      pageSize,
      pages: pageNumber,
      version: name,
      mode: oneOf('resume', 'sync'),
      reason: prose,
      contains: oneOf('proven', 'likely', 'unknown'),
      source: nodeId,
      sourceAddress: address,
      fileMode,
      heartbeatMs: duration,
    },
  }),
  /** Leader to replica: one or more whole transactions, or a chunk of one. */
  batch: define({
    code: 3,
    payload: 'pages',
    fields: {
      db: name,
      epoch: counted,
      fromTxid: counted,
      txid: counted,
      chunk: count,
      last: flag,
      pageSize,
      pages: count,
      dbPages: pageNumber,
      checksum,
      noticeMs: time,
      noticedMs: time,
      sentMs: time,
    },
  }),
  /** Replica to leader: checksums of groups of the pages it has, from group `firstGroup`. */
  groups: define({
    code: 14,
    payload: 'sums',
    fields: { db: name, pages: pageNumber, firstGroup: count, sums: count, last: flag },
  }),
  /** Leader to replica: the groups that differ, of which it wants each page's checksum. */
  differ: define({ code: 15, payload: 'groups', fields: { db: name, groups: count, last: flag } }),
  /** Replica to leader: checksums of pages of a group that differs, from `firstPage`. */
  have: define({
    code: 4,
    payload: 'sums',
    fields: { db: name, firstPage: pageNumber, sums: count, last: flag },
  }),
  /**
   * Leader to replica: page images on the way to a common state. They must not be visible before
   * `synced`.
   */
  pages: define({
    code: 5,
    payload: 'pages',
    fields: {
      db: name,
      epoch: counted,
      pageSize,
      pages: count,
      pass: count,
      remaining: count,
      dbPages: pageNumber,
    },
  }),
  /** Leader to replica: the last page images; with them the replica's state is this position. */
  synced: define({
    code: 6,
    payload: 'pages',
    fields: {
      db: name,
      epoch: counted,
      incarnation,
      txid: counted,
      checksum,
      pageSize,
      pages: count,
      dbPages: pageNumber,
    },
  }),
  /** Leader to replica: why batches cannot go on; the replica answers with `have`. */
  resync: define({
    code: 7,
    payload: 'none',
    fields: { db: name, epoch: counted, pages: pageNumber, reason: prose },
  }),
  /** Replica to leader: what it has applied. */
  ack: define({
    code: 8,
    payload: 'none',
    fields: {
      db: name,
      epoch: counted,
      txid: counted,
      checksum,
      durableTxid: counted,
      lagMs: duration,
    },
  }),
  /** Leader to replica, regularly: its position and clock. */
  heartbeat: define({
    code: 9,
    payload: 'none',
    fields: {
      db: name,
      epoch: counted,
      txid: counted,
      walBytes: count,
      timeMs: time,
      staleMs: duration,
    },
  }),
  /** Replica to leader: a replica that it feeds in turn. */
  below: define({
    code: 16,
    payload: 'none',
    fields: {
      db: name,
      node: nodeId,
      instance: name,
      upMs: duration,
      via: nodeId,
      address: name,
      epoch: counted,
      txid: counted,
      lagMs: duration,
      connected: flag,
      silentMs: duration,
    },
  }),
  /** Leader to replica: acknowledge at once when this much is applied, or durable. */
  ask: define({ code: 17, payload: 'none', fields: { db: name, txid: counted, durable: flag } }),
  /** Leader to replica, before its welcome: how an incarnation of the leader began. */
  incarnation: define({
    code: 18,
    payload: 'none',
    fields: {
      db: name,
      id: incarnation,
      epoch: counted,
      after: incarnationBefore,
      afterEpoch: counted,
      txid: counted,
      leader: nodeId,
      exact: flag,
    },
  }),
  /** Replica to leader: where a replica that it feeds has been, of which it does not know. */
  seen: define({
    code: 21,
    payload: 'none',
    fields: {
      db: name,
      node: nodeId,
      epoch: counted,
      txid: counted,
      history: trail,
      highestEpoch: counted,
      term: counted,
      leader: nodeId,
    },
  }),
  /**
   * Leader to replica: another node of the cluster, to be asked who leads when the leader is gone.
   */
  member: define({
    code: 19,
    payload: 'none',
    fields: { db: name, node: nodeId, address: name, gone: flag },
  }),
  /** Leader to replica, before it closes: another node leads from now on. */
  moved: define({
    code: 20,
    payload: 'none',
    fields: { db: name, epoch: counted, node: nodeId, address },
  }),
  /**
   * Leader to replica: a process that it feeds, directly or through others, has the id of one that
   * came first.
   */
  twin: define({
    code: 22,
    payload: 'none',
    fields: { db: name, node: nodeId, instance: name, address: name },
  }),
  /** Replica to leader: asks for the leader's clock. */
  ping: define({ code: 10, payload: 'none', fields: { db: name, timeMs: time } }),
  pong: define({ code: 11, payload: 'none', fields: { db: name, pingMs: time, timeMs: time } }),
  /** Either way, before closing: why. `code` is a key of the error catalogue. */
  error: define({ code: 12, payload: 'none', fields: { db: name, code: name, message: prose } }),
  /** Leader to replica: it is about to stop. */
  stopping: define({ code: 13, payload: 'none', fields: { db: name, reason: prose } }),
} as const satisfies Record<string, Definition>

export type MessageType = keyof typeof MESSAGES
export type Body<T extends MessageType> = BodyOf<(typeof MESSAGES)[T]['fields']>

/** A decoded message. `payload` is a view into the received bytes. */
export type Message = {
  readonly [T in MessageType]: {
    readonly type: T
    readonly body: Body<T>
    readonly payload: Buffer
  }
}[MessageType]

export const TYPE_BY_CODE: ReadonlyMap<number, MessageType> = new Map(
  (Object.keys(MESSAGES) as MessageType[]).map((type) => [MESSAGES[type].code, type]),
)
