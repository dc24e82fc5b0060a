/** Why a replica lags or its WAL grows. Pure: from measurements to causes. */
import { MAX_DURATION_MS } from '../../proto/limits.ts'
import type { Cause } from '../api/cause.ts'
import { ageText, rateText, sizeText } from './causeText.ts'
import { type FeedMeasures, feedCauses, LAG_MS, LASTING_MS } from './feedCauses.ts'

/** From this share of the time on, applying is the bottleneck. */
const BUSY_SHARE = 0.8

/** Errors after which the replica stands still until an operator makes room. */
const CANNOT_WRITE: ReadonlySet<string> = new Set([
  'WALCAST_DISK_FULL',
  'WALCAST_WRITE_FAILED',
  'WALCAST_DIVERGED_UNKEPT',
])

/** The node at --leader runs but leads another cluster: waiting does not help. */
const WRONG_CLUSTER = 'WALCAST_WRONG_CLUSTER'
const NODE_ANSWER = 'WALCAST_NODE_ANSWER'

/** The members refuse this node until it joins again. */
const NOT_A_MEMBER: Readonly<Record<string, string>> = {
  WALCAST_SECRET_ENDED: 'the cluster replaced its secret while this node was away',
  WALCAST_KEY_REMOVED: 'this node was removed from the cluster',
}

export interface ReplicaMeasures extends FeedMeasures {
  /** Id or address of what it follows. */
  readonly follows: string
  /** Whether that is another replica. */
  readonly isRelayed: boolean
  readonly connected: boolean
  /** How long it has not been connected. */
  readonly disconnectedMs: number
  readonly lastError: string
  /**
   * How long nothing has come over an open connection, when that is longer than on a working link;
   * else 0.
   */
  readonly downMs: number
  /** A first copy is no lag: status tells its progress by itself. */
  readonly isFirstCopy: boolean
  /** It fetches a copy with pages of the leader's size, to replace this one. */
  readonly isReplacing: boolean
  readonly pageSize: number
  readonly leaderPageSize: number
  readonly lagMs: number
  /** How long it has been behind at each look. */
  readonly behindMs: number
  /** Received and not yet applied. */
  readonly queuedBytes: number
  /** How long there has been something queued at each look. */
  readonly queuedMs: number
  readonly appliedPerSecond: number
  /** Share of the time that was spent applying, 0 to 1. */
  readonly applyShare: number
  /** How long the node that feeds this one had not heard of the leader, at its last word. */
  readonly sourceStaleMs: number
}

export function replicaCauses(measured: ReplicaMeasures): Cause[] {
  return [...feedCauses(measured), ...lagCauses(measured)]
}

/** The cause of its lag that is nearest to the leader. */
function lagCauses(measured: ReplicaMeasures): Cause[] {
  if (CANNOT_WRITE.has(measured.lastError)) return [replicaDisk(measured)]
  const { connected, disconnectedMs, isRelayed, sourceStaleMs, isFirstCopy, lagMs, behindMs } =
    measured
  if (connected && measured.isReplacing) return [otherPageSize(measured)]
  if (!connected && disconnectedMs < LASTING_MS) return []
  if (!connected) return [notConnected(measured)]
  if (measured.downMs >= LASTING_MS) return [linkDown(measured)]
  if (isRelayed && sourceStaleMs >= LASTING_MS) return [sourceBehind(measured)]
  if (isFirstCopy || lagMs < LAG_MS || behindMs < LASTING_MS) return []
  return [isApplyBound(measured) ? applyBound(measured) : slowLink(measured)]
}

function replicaDisk({ lastError }: ReplicaMeasures): Cause {
  return {
    code: 'replica-disk',
    text:
      `this node cannot write what it receives (${lastError}); make room on its disk; ` +
      'it keeps trying',
    lastError,
  }
}

function otherPageSize({ pageSize, leaderPageSize }: ReplicaMeasures): Cause {
  return {
    code: 'page-size',
    text:
      `this copy has pages of ${pageSize} bytes, its leader by now ${leaderPageSize}: this node ` +
      'fetches a new copy, and this one stays as it is; once the new one is in its place, ' +
      'programs that have the file open must open it again',
    pageSize,
    leaderPageSize,
  }
}

function isApplyBound({ queuedBytes, queuedMs, applyShare }: ReplicaMeasures): boolean {
  return (queuedBytes > 0 && queuedMs >= LASTING_MS) || applyShare >= BUSY_SHARE
}

function notConnected(measured: ReplicaMeasures): Cause {
  const { lastError } = measured
  if (lastError === WRONG_CLUSTER) return wrongCluster(measured)
  return NOT_A_MEMBER[lastError] === undefined ? leaderAway(measured) : notAMember(measured)
}

function notAMember({ follows, disconnectedMs, lastError }: ReplicaMeasures): Cause {
  return {
    code: 'not-a-member',
    text:
      `${NOT_A_MEMBER[lastError]}, and ${follows} refuses it (${lastError}); walcast pair on a ` +
      'member makes a code; stop this node, and type walcast join CODE --db FILE here',
    follows,
    awaySeconds: Math.floor(disconnectedMs / 1000),
    lastError,
  }
}

function leaderAway({ follows, disconnectedMs, lastError }: ReplicaMeasures): Cause {
  const why = lastError === '' ? '' : ` (${lastError})`
  const check =
    lastError === NODE_ANSWER
      ? 'what answers there is not the private side (--listen) of a node: correct --leader'
      : 'check that it runs and can be reached from here'
  return {
    code: 'leader-away',
    text:
      `not connected to ${follows} for ${ageText(disconnectedMs)}${why}; ${check}; ` +
      'this node keeps trying',
    follows,
    awaySeconds: Math.floor(disconnectedMs / 1000),
    lastError,
  }
}

function wrongCluster({ follows, disconnectedMs, lastError }: ReplicaMeasures): Cause {
  return {
    code: 'wrong-cluster',
    text:
      `${follows} leads another cluster than that of this copy: it has lost its node folder, or ` +
      '--leader names the wrong node; put FILE-walcast back there, or stop this node, move FILE ' +
      'and FILE-walcast away and start it again',
    follows,
    awaySeconds: Math.floor(disconnectedMs / 1000),
    lastError,
  }
}

function linkDown({ follows, downMs, lagMs }: ReplicaMeasures): Cause {
  return {
    code: 'link-down',
    text:
      `nothing has come from ${follows} for ${ageText(downMs)}, though the connection is open: ` +
      'the network to it is down, or its process stands still; check both; ' +
      'this node connects again by itself',
    node: follows,
    silentSeconds: Math.floor(downMs / 1000),
    lagMs: Math.round(lagMs),
  }
}

function sourceBehind({ follows, sourceStaleMs }: ReplicaMeasures): Cause {
  return {
    code: 'source-behind',
    text:
      `the replica ${follows}, which this node follows, ${sourceText(sourceStaleMs)}; ` +
      'see its status',
    follows,
    staleSeconds: Math.floor(sourceStaleMs / 1000),
  }
}

function sourceText(staleMs: number): string {
  if (staleMs >= MAX_DURATION_MS) return 'has not heard of the leader yet'
  return `last knew ${ageText(staleMs)} ago where the leader stands`
}

function applyBound({ queuedBytes, appliedPerSecond, applyShare, lagMs }: ReplicaMeasures): Cause {
  return {
    code: 'apply-bound',
    text:
      `applying does not keep up: ${sizeText(queuedBytes)} are received and not applied, ` +
      `${rateText(appliedPerSecond)} get applied; check the disk and the load of this machine`,
    queuedBytes,
    appliedBytesPerSecond: Math.round(appliedPerSecond),
    applyPercent: Math.round(100 * applyShare),
    lagMs: Math.round(lagMs),
  }
}

function slowLink({ follows, appliedPerSecond, lagMs }: ReplicaMeasures): Cause {
  return {
    code: 'slow-link',
    text:
      `${ageText(lagMs)} behind with nothing left to apply: ${follows}, or the network to it, ` +
      `delivers only ${rateText(appliedPerSecond)}; check the network and the status of ${follows}`,
    node: follows,
    receivedBytesPerSecond: Math.round(appliedPerSecond),
    lagMs: Math.round(lagMs),
  }
}
