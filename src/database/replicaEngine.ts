/** The engine of a database while its node follows: a replica, its relay, and their checks. */

import { STREAM_PATH } from '../../proto/limits.ts'
import { lastLeader } from '../cluster/nodeRecord.ts'
import { readersOf } from '../health/feedSampler.ts'
import { type ReplicaSample, ReplicaSampler } from '../health/replicaSampler.ts'
import { ownAddress } from '../options/address.ts'
import { CopyAccess } from '../replica/copy/copyAccess.ts'
import { Replica } from '../replica/replica.ts'
import type { ReplicaOptions } from '../replica/replicaOptions.ts'
import type { StreamDial } from '../replica/streamUpgrade.ts'
import { NO_BODY, REPLICA_AUTH_HEADER, signRequest } from '../security/requestSignature.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import { adoptWelcome } from './adoptWelcome.ts'
import { following, replicaSource } from './archiveSources.ts'
import { BackgroundChecks } from './backgroundChecks.ts'
import type { Engine, EngineParts } from './engine.ts'
import { newRelay } from './replicaRelay.ts'
import { replicaView } from './replicaView.ts'

/**
 * The copy's WAL grows on while it is checkpointed. Past this multiple of the size that starts a
 * checkpoint, something holds it.
 */
const USUAL_WALS = 2

export interface ReplicaEngine extends Engine {
  readonly role: 'replica'
  readonly replica: Replica
  /**
   * Applies the queue, then hands the copy over together with its write lock. Without a whole copy
   * it closes everything and returns undefined.
   */
  retire(): Promise<HeldDatabase | undefined>
}

/** How long the replica may take to apply its queue before this node leads. */
const FINISH_MS = 30_000

/**
 * Opens the copy, or goes on with a database that this process has led until now (`held`). Follows
 * the node at `leader` (HOST:PORT); undefined: none until it is told which.
 */
export async function buildReplica(
  parts: EngineParts,
  leader: string | undefined,
  held?: HeldDatabase,
): Promise<ReplicaEngine> {
  const { metrics, replicas, setup } = parts
  const observer = metrics.replica()
  const sampler = new ReplicaSampler(replicas, readersOf(parts.path))
  let started: BackgroundChecks | undefined
  const replicaOptions: ReplicaOptions = {
    ...optionsOf(parts, leader),
    observer: {
      ...observer,
      onConnected(leaderAddress, followed) {
        observer.onConnected(leaderAddress, followed)
        parts.members.learn(replica.status.leaderNode, leaderAddress || followed)
        parts.replicas.follows(replica.status.leaderNode)
        const { incarnation, node: leader } = replica.source
        parts.traffic.onLeaderThere(leaderAddress || followed, incarnation, leader)
        if (leaderAddress !== '')
          parts.onNews({ type: 'relayed', relay: followed, leader: leaderAddress })
        parts.onMoved()
      },
      onMember({ node: member, address, gone }) {
        if (gone) parts.members.forget(member)
        else parts.members.learn(member, address)
      },
      onMoved: ({ address, epoch }) => parts.onNews({ type: 'leaderMoved', address, epoch }),
      onDisconnected(error) {
        observer.onDisconnected(error)
        parts.traffic.onLeaderLost()
        parts.onNews({ type: 'leaderLost' })
      },
      onLeaderAt: () => parts.onMoved(),
      onLeaderStopping: () => parts.traffic.onLeaderStopping(),
      onReceived(bytes) {
        observer.onReceived(bytes)
        sampler.onReceived(bytes)
      },
      onCheckpoint(checkpoint) {
        observer.onCheckpoint(checkpoint)
        sampler.onCheckpoint(checkpoint.complete)
      },
      onApplied(batch) {
        observer.onApplied(batch)
        sampler.onApplied(batch)
        started?.scrub.onMoved()
        parts.onMoved()
      },
      onSynced() {
        observer.onSynced()
        started?.scrub.onSynced()
        parts.onMoved()
      },
      onFatal: (error) => parts.onFatal(error),
    },
  }
  const replica: Replica = held
    ? await Replica.takeOver(replicaOptions, parts.thread, held)
    : await Replica.open(replicaOptions, parts.thread)
  parts.traffic.useLeaderClock(() => replica.lag.offset.offsetMs)
  const relay = newRelay(replica, parts)
  replica.start(parts.follower ? following(relay, parts.follower) : relay)
  parts.follower?.attach(replicaSource(replica, parts))
  const explain = (nowMs: number) =>
    sampler.look(sampleOf(replica, setup.options.replicaWalBytes), nowMs)
  const checks = new BackgroundChecks(parts, explain, {
    pages: () => replica.scrubbed,
    position: () => replica.position,
    look() {},
    role: () => view.role(),
    status: () => view.status(),
    isTrusted: () => replica.status.isTrusted,
    repair: { pages: (rotten) => replica.repair(rotten), all: () => replica.distrust() },
  })
  started = checks
  const view = replicaView(replica, relay, checks, parts)
  const endWith = <T>(end: () => Promise<T>): Promise<T> => {
    relay.stop()
    return checks.endWith(end).finally(() => parts.follower?.detach())
  }
  return {
    role: 'replica',
    replica,
    view,
    checks: checks.scrub,
    bundles: replica.bundles,
    announceStop: () => relay.announceStop(),
    tellMember: (member) => relay.tellMember(member),
    stop: () => endWith(() => replica.stop()),
    retire: () => endWith(() => replica.handOver(FINISH_MS)),
  }
}

async function dialStream(
  { dialer, secrets, nodeFile, clock, old }: EngineParts,
  address: string,
  timeoutMs: number,
  offsetMs: number,
): Promise<StreamDial> {
  const { socket, ready } = dialer.dial(address, timeoutMs)
  const { node: to, isOld } = await ready
  const { node: from, epoch } = nodeFile.record
  const claim = { method: 'GET', path: STREAM_PATH, epoch, nowMs: clock.nowMs() + offsetMs }
  if (isOld && old) return { socket, headers: old.headersFor({ ...claim, node: from }) }
  const signature = signRequest(secrets, {
    ...claim,
    purpose: 'stream',
    from,
    to,
    body: NO_BODY,
    headers: [],
  })
  return { socket, headers: { [REPLICA_AUTH_HEADER]: signature } }
}

/** All that does not depend on what happens to the replica. */
function optionsOf(
  parts: EngineParts,
  leader: string | undefined,
): Omit<ReplicaOptions, 'observer'> {
  const { setup, nodeFile, clock, path } = parts
  const { options } = setup
  const { node } = nodeFile.record
  return {
    db: parts.db,
    path,
    stateFolder: parts.stateFolder,
    version: setup.version,
    advertise: ownAddress(options),
    identity: {
      node,
      cluster: () => nodeFile.record.cluster,
      epoch: () => nodeFile.record.epoch,
      instance: parts.instance.id,
      upMs: () => parts.instance.upMs,
      lineage: () => nodeFile.record.lineage,
      lastLeader: () => lastLeader(nodeFile.record),
      term: () => nodeFile.record.term,
      adopt: (welcome, told, address) => adoptWelcome(nodeFile, address, welcome, told),
    },
    log: setup.log,
    clock,
    ops: parts.ops,
    claims: parts.claims,
    subscription: {
      db: parts.db,
      leader,
      reconnectMinMs: 50,
      reconnectMaxMs: options.reconnectMaxMs,
      handshakeTimeoutMs: 5000,
      silenceMs: Math.max(5000, options.maxStalenessMs / 2),
      maxQueuedBytes: options.maxQueuedBytes,
    },
    walBytes: options.replicaWalBytes,
    access: new CopyAccess({
      path,
      copyMode: options.copyMode,
      leaderMode: () => nodeFile.record.leaderMode,
      log: setup.log,
    }),
    lockTimeoutMs: options.lockTimeoutMs,
    maxDiverged: options.maxDiverged,
    maxDivergedBytes: options.maxDivergedBytes,
    idleMs: options.idleMs,
    pingMs: 2000,
    dial: (address, timeoutMs, offsetMs) =>
      parts.dialer.isOpen ? undefined : dialStream(parts, address, timeoutMs, offsetMs),
  }
}

function sampleOf(replica: Replica, checkpointBytes: number): ReplicaSample {
  const {
    follows,
    leaderNode,
    txid,
    connected,
    silentMs,
    lastError,
    hasCopy,
    walBytes,
    queuedBytes,
  } = replica.status
  const { isReplacing, pageSize, leaderPageSize } = replica.status
  return {
    follows: follows || (replica.leaderAddress ?? ''),
    isRelayed: follows !== leaderNode,
    txid,
    connected,
    silentMs,
    lastError: lastError?.code ?? '',
    isFirstCopy: !hasCopy,
    isReplacing,
    pageSize,
    leaderPageSize,
    walBytes,
    usualWalBytes: USUAL_WALS * checkpointBytes,
    queuedBytes,
    lagMs: replica.lag.lagMs(),
    sourceStaleMs: replica.lag.sourceStaleMs,
  }
}
