/** What the node of a simulation is set up with, and what of it says how it fares. */
import { pino } from 'pino'
import type { Position } from '../../proto/position.ts'
import type { NodeSetup } from '../../src/database/engine.ts'
import type { WalcastError } from '../../src/errors.ts'
import type { Metrics } from '../../src/health/metrics.ts'
import { defaultOptions } from '../../src/options/defaults.ts'
import type { NodeOptions } from '../../src/options/nodeOptions.ts'
import type { FileOps } from '../../src/platform/fileOps.ts'
import type { Traffic } from '../../src/proxy/traffic.ts'
import { WriteGate } from '../../src/proxy/writeGate.ts'
import type { LockService } from './lockService.ts'
import type { Network } from './network.ts'
import type { NodeProcess } from './nodeProcess.ts'
import type { NodeRequests } from './nodeRequests.ts'
import type { Scheduler } from './scheduler.ts'
import type { SeededRandom } from './seededRandom.ts'
import type { SimulatedNode } from './simulatedNode.ts'
import type { Trace } from './trace.ts'

export interface NodeSite {
  readonly requests: NodeRequests
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly network: Network
  readonly trace: Trace
  readonly ops: FileOps
  /** Undefined when operators alone decide who leads. */
  readonly lockService: LockService | undefined
  /** Hears what the engines tell. */
  readonly onCaptured: (node: SimulatedNode, position: Position, checksum: string) => void
  readonly onApplied: (node: SimulatedNode) => void
  readonly onSynced: (node: SimulatedNode) => void
  /** It is up; a replica has opened its copy, if it has one. */
  readonly onUp: (node: SimulatedNode) => void
  /** Others may write its database from now on. */
  readonly onLeads: (node: SimulatedNode) => void
  /** Its clients' writes go elsewhere from now on. */
  readonly onFollows: (node: SimulatedNode) => void
  readonly onFatal: (node: SimulatedNode, error: WalcastError) => void
  /** The key of an error that ended a connection, or what the node called an error in its log. */
  readonly onTrouble: (node: SimulatedNode, what: string) => void
}

/** Small bounds: whatever depends on one of them happens often. */
const BOUNDS: Partial<NodeOptions> = {
  ...{ softWalFrames: 60, hardWalFrames: 80, maxWalBytes: 1e6, fenceTimeoutMs: 50 },
  ...{ pollAbovePerSecond: 400, pollMs: 1, idleMs: 1000, heartbeatMs: 500 },
  ...{ maxBufferedBytes: 65536, stallMs: 5000, historyBytes: 262144, batchBytes: 65536 },
  ...{ maxReplicas: 8, maxWaits: 100, maxQueuedBytes: 65536, replicaWalBytes: 65536 },
  ...{ lockTimeoutMs: 2000, maxDiverged: 8, maxDivergedBytes: 1e7, reconnectMaxMs: 2000 },
  ...{ peerTimeoutMs: 500, peerLookMs: 1000, switchoverTimeoutMs: 2000, frozenMs: 2000 },
  scrubRate: 0,
}

/** Of nodes that fail over by themselves. */
const LEASED: Partial<NodeOptions> = { ttlMs: 2000, ack: 'one' }

export function setupOf({ node }: NodeProcess, site: NodeSite): NodeSetup {
  const { scheduler, ops, trace, onTrouble, lockService } = site
  const write = (line: string) => {
    trace.add(node.id, line.trim())
    const { level, msg, error }: Record<string, unknown> = JSON.parse(line)
    if (level === pino.levels.values['error'])
      onTrouble(node, error ? `${msg}: ${error}` : `${msg}`)
  }
  const { givenLeader } = node.first
  const given = { db: node.path, listen: node.address, ...(givenLeader && { leader: givenLeader }) }
  return {
    options: {
      ...defaultOptions(),
      ...BOUNDS,
      ...(lockService && LEASED),
      ...given,
    } as NodeOptions,
    secret: undefined,
    log: pino({ base: null, timestamp: false }, { write }),
    version: '0',
    clock: { nowMs: () => scheduler.nowMs() + node.skewMs },
    ops,
  }
}

/** Tells the site what metrics would count. */
export function metricsOf(process: NodeProcess, site: NodeSite): Metrics {
  const { onCaptured, onApplied, onSynced, onTrouble } = site
  const { node } = process
  const ifAlive = (tell: (node: SimulatedNode) => void) => () => {
    if (process.isAlive) tell(node)
  }
  const nothing = () => {}
  const told = {
    registry: { contentType: '', metrics: async () => '' },
    leader: () => ({
      onBatch({ last, txid, checksum }: { last: boolean; txid: number; checksum: string }) {
        if (!process.isAlive || !last) return
        onCaptured(node, { epoch: process.nodeFile.record.epoch, txid }, checksum)
      },
      onPass: nothing,
      onUnverified: nothing,
    }),
    replica: () => ({
      onConnected: nothing,
      onReceived: nothing,
      onApplied: ifAlive(onApplied),
      onCheckpoint: nothing,
      onDurable: nothing,
      onDisconnected: (key: string) => onTrouble(node, key),
      onRefused: nothing,
      onSynced: ifAlive(onSynced),
      onStray: () => onTrouble(node, 'STRAY_WRITE'),
      onKeptDropped: nothing,
    }),
    feed: () => ({ onSent: nothing, onBadMessage: (key: string) => onTrouble(node, key) }),
    scrub: () => ({ onChecked: nothing, onPass: nothing, onRotten: nothing, onRepaired: nothing }),
    election: () => ({ onRenewal: nothing, onAgreement: nothing, onElected: nothing }),
    observeScrub: nothing,
    onRole: nothing,
  }
  // Engines and roles use no more of it.
  return told as unknown as Metrics
}

/** There are no clients: what is held is the gate through which they would come. */
export function trafficOf(process: NodeProcess, site: NodeSite, check: () => void): Traffic {
  const { node } = process
  const isLeading = () => process.nodeFile.record.role === 'leader'
  const options = { maxHeld: 10, holdMs: 10_000, address: node.address }
  const admission = new WriteGate(options, { isLeading, check })
  const traffic = {
    admission,
    onLeading() {
      admission.release('change')
      if (process.isAlive) site.onLeads(node)
    },
    onFollowing() {
      admission.clear()
      if (process.isAlive) site.onFollows(node)
    },
    onLeaderThere() {},
    onLeaderLost() {},
    onLeaderStopping() {},
    useLeaderClock() {},
    intake: { isStopping: false },
    watch: { standing: () => 'none' },
    application: { unwellForLeading: undefined },
    publicUrl: undefined,
  }
  // Engines, roles and the answers about health use no more of it.
  return traffic as unknown as Traffic
}
