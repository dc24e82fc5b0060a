/**
 * What this node knows of the keys, tokens and settings of its cluster, and how it comes to know
 * the same as the others. Nothing waits for it: a first file is written beside the start.
 */
import type { Logger } from 'pino'
import { TRUST_PATH } from '../api/trust.ts'
import type { Instance } from '../cluster/instance.ts'
import type { Members } from '../cluster/members.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { Member } from '../cluster/nodeRecord.ts'
import type { OldNodes } from '../cluster/oldNodes.ts'
import { PeerCalls } from '../cluster/peerCalls.ts'
import { PeerDialer } from '../cluster/peerDialer.ts'
import { requestOver } from '../cluster/peerRequest.ts'
import { misplaced } from '../cluster/place.ts'
import { SecretSchedule } from '../cluster/secretSchedule.ts'
import { isGivenLasting } from '../cluster/secretsInForce.ts'
import { MAX_SEALED_BYTES, type SealedTrust, TrustCalls } from '../cluster/trustCalls.ts'
import { withCluster, withKek, withMember, withoutOldTokens } from '../cluster/trustChanges.ts'
import { type ToldMember, TRUST_EXCHANGE_LIMITS, TrustExchange } from '../cluster/trustExchange.ts'
import { TrustedKeys } from '../cluster/trustedKeys.ts'
import type { TrustFile } from '../cluster/trustFile.ts'
import { memberByKey, type TrustRecord } from '../cluster/trustRecord.ts'
import type { NodeSetup } from '../database/engine.ts'
import { messageOf } from '../errors.ts'
import { ownAddress } from '../options/address.ts'
import type { Clock } from '../platform/clock.ts'
import { randomBytes } from '../platform/random.ts'
import { ClusterSecrets } from '../security/clusterSecrets.ts'
import { MemberSockets } from '../security/memberSockets.ts'
import { newKey } from '../security/valueEncryption.ts'
import type { NodeTrust } from '../server/healthRoutes.ts'
import type { TrustDesk } from '../server/trustRoutes.ts'
import type { NodeTls } from './nodeTls.ts'
import { oldNodesOf } from './oldFormat.ts'

const UNWRITTEN = 'could not write the keys and members of the cluster'

export interface ClusterTrustParts {
  readonly file: TrustFile
  readonly log: Logger
  /** The secret from the environment. */
  readonly secret: string | undefined
  /** Undefined in an open cluster. */
  readonly tls: NodeTls | undefined
  /** HOST:PORT of this node. */
  readonly address: string
  readonly timeoutMs: number
  readonly secrets: ClusterSecrets
  readonly keys: TrustedKeys
  readonly calls: PeerCalls
  /** Id of this node. */
  node(): string
  nowMs(): number
  /** '' while it is unknown. */
  cluster(): string
  /** Whether the role file says that this node leads. */
  leads(): boolean
  /** The nodes that this one has met, itself left out. */
  met(): readonly Member[]
}

/** What a node has when its trust is put together. */
export interface TrustGround {
  readonly setup: NodeSetup
  readonly clock: Clock
  readonly nodeFile: NodeFile
  readonly members: Members
  readonly instance: Pick<Instance, 'id'>
  readonly file: TrustFile
  readonly tls: NodeTls | undefined
  onUnproven(address: string, why: string): void
}

/** How other nodes are reached and believed, and what is known of them. */
export interface ClusterLinks {
  readonly secrets: ClusterSecrets
  readonly dialer: PeerDialer
  readonly calls: PeerCalls
  readonly old: OldNodes | undefined
  readonly trust: ClusterTrust
  /** The open connections of other nodes, to them and from them. */
  readonly sockets: MemberSockets
}

/** Throws what the constructor of ClusterTrust throws, and USAGE. */
export function newClusterLinks({
  setup: { options, log, secret },
  clock,
  nodeFile,
  members,
  instance,
  file,
  tls,
  onUnproven,
}: TrustGround): ClusterLinks {
  const nowMs = () => clock.nowMs()
  const node = () => nodeFile.record.node
  const secrets = new ClusterSecrets([])
  const sockets = new MemberSockets()
  const keys = new TrustedKeys({
    file,
    introduces: () => isGivenLasting(secret, file.record),
    nowMs,
    onFailed: (error) => log.warn({ path: file.path, error: messageOf(error) }, UNWRITTEN),
  })
  const old = oldNodesOf(options, log, secrets, tls)
  const dialer = new PeerDialer({
    old,
    transport: tls?.transport ?? 'open',
    secrets,
    keys: tls?.keys,
    known: keys,
    sockets,
    onUnproven,
    misplaced: (address, prover) => misplaced(address, prover, instance.id, members.list()),
  })
  const epoch = () => nodeFile.record.epoch
  const request = requestOver(dialer)
  const calls = new PeerCalls({ secrets, dialer, request, old, node, epoch, nowMs })
  file.on('changed', () => {
    members.forgetRemoved()
    sockets.endRemoved(keys)
  })
  const trust = new ClusterTrust({
    file,
    log,
    secret,
    tls,
    address: ownAddress(options),
    timeoutMs: options.peerTimeoutMs,
    secrets,
    keys,
    calls,
    node,
    nowMs,
    cluster: () => nodeFile.record.cluster,
    leads: () => nodeFile.record.role === 'leader',
    met: () => members.list(),
  })
  return { secrets, dialer, calls, old, trust, sockets }
}

export class ClusterTrust implements TrustDesk, NodeTrust {
  readonly file: TrustFile
  readonly secrets: ClusterSecrets
  readonly keys: TrustedKeys
  readonly #parts: ClusterTrustParts
  readonly #calls: TrustCalls
  readonly #exchange: TrustExchange
  readonly #schedule: SecretSchedule
  #preparing: Promise<void> | undefined

  /** Throws TRUST_REFUSED when the record is that of another cluster. */
  constructor(parts: ClusterTrustParts) {
    const { file, log, secret: given, secrets, keys, calls, nowMs } = parts
    this.#parts = parts
    this.file = file
    withCluster(file.record, parts.cluster() || file.record.cluster)
    this.secrets = secrets
    this.keys = keys
    this.#schedule = new SecretSchedule({ file, given, secrets, log, nowMs })
    this.#calls = new TrustCalls({
      secrets: this.secrets,
      post: (member, body, keyId) =>
        calls.tell(member.address, TRUST_PATH, {}, parts.timeoutMs, undefined, {
          body,
          maxAnswerBytes: MAX_SEALED_BYTES,
          keyId,
        }),
    })
    this.#exchange = new TrustExchange({
      file,
      log,
      limits: TRUST_EXCHANGE_LIMITS,
      members: () => this.others(),
      exchange: (member, record) => this.#calls.exchange(member, record),
      isReady: () => this.#isReady(),
    })
    parts.tls?.keys.onReplaced(() => this.#prepare())
    if (!this.secrets.isOpen) this.#prepare()
  }

  get fingerprint(): string {
    return this.#parts.tls?.keys.current.fingerprint ?? ''
  }

  get takesPlainText(): boolean {
    return this.#parts.tls?.transport !== 'tls'
  }

  get digest(): string {
    return this.#isReady() ? this.#exchange.digest : ''
  }

  /** Another node told its digest, or whoever answered for it. */
  onDigest(node: string, digest: string): void {
    this.#exchange.onDigest(node, digest)
  }

  async answer(from: string, body: unknown): Promise<SealedTrust> {
    this.#isReady()
    await this.#preparing
    return this.#calls.answer(from, body, this.file.record, (node, theirs) =>
      this.#exchange.take(node, theirs),
    )
  }

  /** Tells all members now what this node knows, and gives who has it and who was not reached. */
  tellAllNow(): Promise<ToldMember[]> {
    return this.#exchange.tellAllNow()
  }

  async stop(): Promise<void> {
    this.#exchange.stop()
    this.#schedule.stop()
    await this.#preparing
    await this.file.stop()
  }

  /** The members that this node met or that the record names, with their addresses. */
  others(): Member[] {
    const { record } = this.file
    const own = this.#parts.node()
    const addresses = new Map(record.members.map(({ node, address }) => [node, address]))
    for (const { node, address } of this.#parts.met()) addresses.set(node, address)
    return [...addresses]
      .filter(([node, address]) => node !== own && address !== '')
      .filter(([node]) => !this.keys.isRemovedNode(node))
      .map(([node, address]) => ({ node, address }))
  }

  #isReady(): boolean {
    if (this.secrets.isOpen || this.#parts.cluster() === '') return false
    if (this.file.record.cluster === '') this.#prepare()
    return this.file.record.cluster !== ''
  }

  /** Writes what is missing in the file: once a start, and when the cluster becomes known. */
  #prepare(): void {
    this.#preparing ??= this.file
      .change((record) => this.#prepared(record))
      .catch((error) => this.#onFailed(error))
      .finally(() => {
        this.#preparing = undefined
      })
  }

  #prepared(record: TrustRecord): TrustRecord {
    const { cluster, node, address } = this.#parts
    const { fingerprint } = this
    const nowMs = this.#parts.nowMs()
    const known = withoutOldTokens(withCluster(record, cluster() || record.cluster), nowMs)
    const keyed = this.#withFirstKek(known, nowMs)
    if (fingerprint === '' || keyed.cluster === '') return keyed
    const endsAt = memberByKey(keyed, fingerprint)?.endsAt
    return withMember(keyed, { fingerprint, node: node(), address, endsAt }, nowMs)
  }

  /** One node makes the first key that wraps data keys: all others hear of it from the leader. */
  #withFirstKek(record: TrustRecord, nowMs: number): TrustRecord {
    if (record.keks.length > 0 || record.cluster === '' || !this.#parts.leads()) return record
    const id = randomBytes(4).toString('hex')
    return withKek(record, { id, key: newKey().toString('hex'), createdAt: Math.floor(nowMs) })
  }

  #onFailed(error: unknown): void {
    this.#parts.log.warn({ path: this.file.path, error: messageOf(error) }, UNWRITTEN)
  }
}
