/** What is counted of the application's requests, and how many there are. */

import type { FailedReadOutcome } from '../api/failedReads.ts'
import type { AckResult } from './ackWaits.ts'
import type { PushedOut } from './idempotencyStore.ts'
import type { StaleReadEnd } from './replicaSide.ts'
import type { Route } from './routes.ts'

/** Counts what becomes of the application's requests. */
export interface TrafficMetrics {
  onProxied(route: Route): void
  onProxyRefused(error: string): void
  onForwarded(): void
  onHeld(): void
  onUnknown(): void
  onStaleRead(did: StaleReadEnd): void
  onFailedRead(outcome: FailedReadOutcome): void
  onApplied(waitMs: number | undefined): void
  onIntake(refused: string | undefined): void
  onAnswerPushedOut(why: PushedOut): void
  onAckWait(level: string, result: AckResult, waitMs: number): void
}

/** How many of the application's requests wait, and what is kept of them. */
export interface TrafficSizes {
  readonly proxied: number
  /** Connections of clients at the proxy, and those of them that were upgraded. */
  readonly crowd: { readonly connections: number; readonly upgraded: number }
  readonly held: number
  /** Writes at the leader. */
  readonly admission: {
    readonly underWay: number
    readonly held: number
    readonly heldTotal: number
  }
  readonly watch: { readonly isUp: boolean; readonly held: number; readonly heldTotal: number }
  readonly intake: { readonly underWay: number }
  readonly bodies: { readonly keptBytes: number }
  readonly acks: { readonly waiting: number }
  readonly answers: { readonly size: number; readonly bytes: number }
}
