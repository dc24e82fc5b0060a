/**
 * The interruptions while the demo writes: the leader is restarted, one replica is killed.
 */

import { monotonicMs } from '../../platform/time.ts'
import type { DemoCluster } from './cluster.ts'
import { DemoFailure } from './failure.ts'
import type { DemoNode } from './node.ts'
import type { Interruption } from './result.ts'
import { formatLapse, interruptionText } from './table.ts'
import { pause } from './wait.ts'

/** When each happens, as a share of the whole time. */
const LEADER_STOPS_AT = 1 / 3
const REPLICA_KILLED_AT = 2 / 3
/** Long enough to see that it is gone, and to leave it something to catch up with. */
const REPLICA_AWAY = 1 / 15

export interface Play {
  readonly totalMs: number
  readonly signal: AbortSignal
  event(text: string): void
  /** Called just before the first of them. */
  onFirst(): Promise<void>
}

/** Plays both in turn and returns what they cost. */
export async function playInterruptions(
  cluster: DemoCluster,
  play: Play,
): Promise<readonly Interruption[]> {
  const beganMs = monotonicMs()
  const pauseUntil = (share: number) =>
    pause(Math.max(0, beganMs + share * play.totalMs - monotonicMs()), play.signal)
  await pauseUntil(LEADER_STOPS_AT)
  await play.onFirst()
  play.event('restarting the leader (SIGTERM); the writer goes on')
  const restart = await interrupt(cluster, cluster.leader, { signal: 'SIGTERM', awayMs: 0 }, play)
  await pauseUntil(REPLICA_KILLED_AT)
  const victim = cluster.replicas[cluster.replicas.length - 1]
  const awayMs = REPLICA_AWAY * play.totalMs
  play.event(`killing ${victim.name} (SIGKILL); it starts again in ${formatLapse(awayMs)}`)
  const kill = await interrupt(cluster, victim, { signal: 'SIGKILL', awayMs }, play)
  return [restart, kill]
}

async function interrupt(
  cluster: DemoCluster,
  node: DemoNode,
  { signal, awayMs }: { readonly signal: Interruption['signal']; readonly awayMs: number },
  play: Play,
): Promise<Interruption> {
  const { epoch } = await cluster.statusOf(cluster.leader)
  const syncs = await cluster.syncs()
  await node.counts()
  const beganMs = monotonicMs()
  await end(node, signal)
  await pause(awayMs, play.signal)
  node.start()
  await cluster.untilReady(node)
  const upMs = monotonicMs()
  const target = await cluster.untilCaughtUp()
  const levelMs = monotonicMs() - upMs
  const resumed = target.epoch === epoch && (await cluster.syncs()) === syncs
  const interruption = {
    node: node.name,
    signal,
    downMs: Math.round(upMs - beganMs),
    levelMs: Math.round(levelMs),
    resumed,
  }
  play.event(interruptionText(interruption))
  return interruption
}

async function end(node: DemoNode, signal: Interruption['signal']): Promise<void> {
  const code = await node.stop(signal)
  if (signal === 'SIGTERM' && code !== 0)
    throw new DemoFailure(`${node.name} ended with code ${code} after SIGTERM`, node.logTail())
}
