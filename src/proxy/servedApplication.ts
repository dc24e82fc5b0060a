/**
 * What the supervisor of an application tells its node and asks it: which process gets requests,
 * and when one may be restarted.
 */
import { networkInterfaces } from 'node:os'
import type { DatabaseView } from '../api/databaseView.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import { lookAt } from './applicationProbe.ts'
import type { Traffic } from './traffic.ts'

export interface ServedApplication {
  /** Nothing goes to the application from now on, and it has nothing under way. */
  suspend(reason: string): void
  /** A process of the present role was made: it gets requests once it accepts them. */
  started(port: number | undefined): void
  /** Writes wait: the process that runs is of an earlier role. */
  holdWrites(): void
  releaseWrites(): void
  /**
   * Nothing goes to the application from now on. Resolves when it has answered what it has, or
   * takes too long.
   */
  drain(reason: string, port: number | undefined): Promise<void>
  /**
   * Requests go to the process at `port`. Resolves when the one before has answered what it has, or
   * takes too long.
   */
  replacedBy(port: number | undefined): Promise<void>
  /** Resolves once a process accepts at `port`, and its check says so. */
  accepts(port: number, signal: AbortSignal): Promise<void>
  /**
   * Resolves when the application may be restarted: another one serves reads, or has to wait for
   * this one.
   */
  turn(signal: AbortSignal): Promise<void>
  /** Resolves once the application has shown that it knows the present role. */
  followed(signal: AbortSignal): Promise<void>
}

export interface ServedApplicationParts {
  readonly traffic: Traffic
  readonly view: DatabaseView
  readonly options: NodeOptions
  readonly stopTimeoutMs: number
}

/**
 * A restart on one port holds requests up. After this time the process gets SIGTERM, and may still
 * answer what it has.
 */
const DRAIN_MS = 1000
const LOOK_MS = 50
/** Pause between two questions to the leader. */
const TURN_LOOK_MS = 100
/** The longest wait for the new leader's application, of a node that has ceased to lead. */
const TURN_MS = 60_000
const LEARN_MS = 250
const WRITES_HELD = 'it is told of its new role'

export function servedApplication(parts: ServedApplicationParts): ServedApplication {
  const { traffic, options, stopTimeoutMs } = parts
  const { watch } = traffic
  const urlOf = (port: number | undefined) =>
    port === undefined ? options.upstream : `http://127.0.0.1:${port}`
  const replace = async (port: number | undefined, timeoutMs: number) => {
    const url = urlOf(port)
    if (url !== undefined) await traffic.application.replace(url, timeoutMs)
  }
  return {
    suspend: (reason) => watch.suspend(reason),
    started(port) {
      const url = urlOf(port)
      if (url !== undefined) traffic.attach(url)
      watch.started()
    },
    holdWrites: () => watch.holdWrites(WRITES_HELD),
    releaseWrites: () => watch.releaseWrites(),
    async drain(reason, port) {
      watch.suspend(reason)
      await replace(port, DRAIN_MS)
    },
    async replacedBy(port) {
      const replaced = replace(port, stopTimeoutMs)
      watch.releaseWrites()
      watch.reconsider()
      await replaced
    },
    accepts: (port, signal) =>
      untilAccepted(`http://127.0.0.1:${port}`, options.upstreamCheck, signal),
    turn: (signal) => untilTurn(parts, signal),
    followed: (signal) => untilFollowed(parts, signal),
  }
}

async function untilAccepted(
  url: string,
  check: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const { whyNot } = await lookAt(url, check)
    if (whyNot === undefined) return
    await delay(LOOK_MS)
  }
}

/**
 * A leader's application may be restarted at once; that of another node once the leader's takes
 * requests.
 */
async function untilTurn(
  { view, traffic }: ServedApplicationParts,
  signal: AbortSignal,
): Promise<void> {
  const endMs = monotonicMs() + TURN_MS
  while (!signal.aborted && view.role() !== 'leader' && monotonicMs() < endMs) {
    const standing = await traffic.leaderApplication()
    if (standing === 'up' || standing === 'none') return
    await delay(TURN_LOOK_MS)
  }
}

/** The application asks its node for the role, or tells in its check in which role it works. */
async function untilFollowed(
  { view, traffic, options }: ServedApplicationParts,
  signal: AbortSignal,
): Promise<void> {
  let askedMs = Number.POSITIVE_INFINITY
  const onAsked = (remoteAddress: string) => {
    if (isOfThisMachine(remoteAddress)) askedMs = Math.min(askedMs, monotonicMs())
  }
  traffic.events.on('roleAsked', onAsked)
  const { upstreamCheck: check } = options
  while (!signal.aborted) {
    const url = check === undefined ? undefined : traffic.upstream
    const told = url === undefined ? undefined : (await lookAt(url, check)).role
    if (told === view.role()) break
    // Only its question was heard: the application needs a moment for the answer.
    if (told === undefined && monotonicMs() - askedMs >= LEARN_MS) break
    await delay(LOOK_MS)
  }
  traffic.events.off('roleAsked', onAsked)
}

function isOfThisMachine(address: string): boolean {
  const plain = address.replace(/^::ffff:/, '')
  return Object.values(networkInterfaces()).some((list) =>
    list?.some((each) => each.address === plain),
  )
}
