/**
 * Gives leadership away in order. Until the role file says that this node follows, any failure lets
 * it lead on as before:
 *
 *   hold writes ─> quiet ─> fence ─> drain ─> confirm ─> role file ─> take-over ─> follow
 *        └────────────┴────────┴───────┴────────┴─> carry on          │
 *                                               refused: role file ─> carry on
 *                                               no answer: follow ─> SWITCHOVER_UNKNOWN, and nobody leads unless it does
 */
import type { Logger } from 'pino'
import { TAKE_OVER_PATH } from '../api/roleActions.ts'
import type { NodePlace, SwitchoverAnswer } from '../api/roleAnswers.ts'
import { type Acceptance, untilApplicationAccepts } from '../cluster/peerApplication.ts'
import { clockAheadMs, type PeerIdentity, tellPeer } from '../cluster/peerCalls.ts'
import type { LeaderEngine } from '../database/leaderEngine.ts'
import type { ReplicaEngine } from '../database/replicaEngine.ts'
import { keyOf, messageOf, WalcastError } from '../errors.ts'
import type { ReplicaList, ReplicaStatus } from '../feed/replicaList.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import type { Traffic } from '../proxy/traffic.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'

export interface SwitchoverParts {
  readonly leading: LeaderEngine
  readonly replicas: ReplicaList
  readonly traffic: Traffic
  readonly log: Logger
  readonly timeoutMs: number
  readonly identity: PeerIdentity
  own(): NodePlace
  addressOf(node: string): string | undefined
  /**
   * Whether it is certain that the other node has not come to lead: it says so, or was not reached.
   */
  isRefusal(error: unknown): boolean
  recordFollowing(leader: string): Promise<void>
  recordLeading(): Promise<void>
  follow(held: HeldDatabase, leader: string | undefined): Promise<ReplicaEngine>
  /** Leads on as before. */
  carryOn(): Promise<void>
  /** A failure of this step leaves the node between two roles. */
  orFatal<T>(step: Promise<T>): Promise<T>
  said(reason: string): void
}

/** Leadership has moved; the application of the new leader may not take requests yet. */
export interface HandedOver {
  readonly answer: SwitchoverAnswer
  readonly application: Promise<Acceptance>
}

type SwitchoverStages = SwitchoverAnswer['stages']
type Drained = Awaited<ReturnType<LeaderEngine['leader']['drain']>>

const LOOK_MS = 2
/** The longest that the new leader's application is waited for. */
export const APPLICATION_MS = 60_000

export class Switchover {
  readonly #parts: SwitchoverParts

  constructor(parts: SwitchoverParts) {
    this.#parts = parts
  }

  /**
   * Ceases to lead, for the node at `leader` or for whoever is promoted. Throws FENCE_FAILED, and
   * then leads on.
   */
  async demote(leader: string | undefined, reason: string): Promise<void> {
    const { leading, traffic, timeoutMs, recordFollowing, follow, said, log } = this.#parts
    traffic.admission.hold('change', 'this node is being demoted')
    try {
      await leading.leader.endCheckpoints()
      await traffic.admission.quiet(timeoutMs)
      await leading.leader.takeFence(timeoutMs)
      const { txid } = await leading.leader.drain()
      const isLevel = await this.#until(
        () =>
          this.#parts.replicas.list().every((each) => !each.connected || (each.txid ?? 0) >= txid),
        timeoutMs,
      )
      if (!isLevel) log.warn('not every replica has confirmed all that was committed here')
      await recordFollowing(leader ?? '')
    } catch (error) {
      await this.#parts.carryOn()
      throw error
    }
    const held = await this.#parts.orFatal(leading.retire(undefined))
    await follow(held, leader)
    said(reason)
  }

  /** Throws NO_TARGET, SWITCHOVER_FAILED (and leads on), LEADERLESS or SWITCHOVER_UNKNOWN. */
  async switchover(to: string | undefined, timeoutMs: number, by: string): Promise<HandedOver> {
    const { leading, traffic, own } = this.#parts
    const began = monotonicMs()
    const target = this.#target(to)
    const stages = new Stages()
    const heldBefore = traffic.admission.heldTotal
    const endMs = monotonicMs() + timeoutMs
    if (!(await this.#until(() => this.#isNearlyLevel(target.node), timeoutMs / 2)))
      throw new WalcastError('NO_TARGET', {
        detail: `${target.node} is not level with this leader`,
      })
    const aheadMs = await clockAheadMs(this.#parts.identity, target.address, timeoutMs / 2)
    if (aheadMs === undefined)
      throw new WalcastError('NO_TARGET', {
        detail: `${target.node} does not answer at ${target.address}`,
      })
    await leading.leader.endCheckpoints()
    traffic.admission.hold('change', 'the leader is handing over')
    const pausedMs = monotonicMs()
    stages.begin()
    let drained: Drained
    try {
      drained = await this.#stopWriting(target, endMs, stages)
      await this.#parts.recordFollowing(target.address)
      stages.end('recordMs')
    } catch (error) {
      await this.#parts.carryOn()
      if (keyOf(error) === 'NO_TARGET') throw error
      throw new WalcastError(
        'SWITCHOVER_FAILED',
        { to: target.node, detail: messageOf(error) },
        error,
      )
    }
    const taken = await this.#giveTo(target, drained, by, aheadMs)
    stages.end('takeOverMs')
    const pauseMs = monotonicMs() - pausedMs
    const heldWrites = traffic.admission.heldTotal - heldBefore
    const application = untilApplicationAccepts(target.address, APPLICATION_MS)
    await this.#followNow(target, taken.epoch, endMs)
    stages.end('followMs')
    const answer = {
      from: own(),
      to: target,
      epoch: taken.epoch,
      txid: taken.txid,
      pauseMs,
      heldWrites,
      stages: stages.taken,
      tookMs: monotonicMs() - began,
    }
    return { answer, application }
  }

  /**
   * The replica by id or address; the only one that is connected when none is named. Throws
   * NO_TARGET.
   */
  #target(to: string | undefined): NodePlace {
    const connected = this.#parts.replicas
      .list()
      .filter((each) => each.connected && each.via === undefined)
    const chosen = to === undefined ? connected : connected.filter((each) => isNamed(each, to))
    if (chosen.length !== 1) {
      const names = connected.map(({ node }) => node).join(', ') || 'none'
      const detail =
        to === undefined
          ? `one of the replicas has to be named: ${names}`
          : `no replica "${to}" is connected to this leader; those that are: ${names}`
      throw new WalcastError('NO_TARGET', { detail })
    }
    const [{ node, address }] = chosen
    return { node, address: this.#parts.addressOf(node) ?? address }
  }

  /** Takes everything that is sent, and has taken nearly all of it. */
  #isNearlyLevel(node: string): boolean {
    const { replicas } = this.#parts
    const isStreaming = replicas
      .list()
      .some((each) => each.node === node && each.state === 'streaming')
    return isStreaming && this.#lagOf(node) === 0
  }

  #lagOf(node: string): number {
    const link = this.#parts.replicas.links().find((each) => each.node === node)
    return link ? link.bufferedBytes : Number.POSITIVE_INFINITY
  }

  async #stopWriting(target: NodePlace, endMs: number, stages: Stages): Promise<Drained> {
    const { leading, traffic } = this.#parts
    const leftMs = () => Math.max(1, endMs - monotonicMs())
    if (!(await traffic.admission.quiet(leftMs())))
      throw new Error('a write inside the application did not end in time')
    stages.end('quietMs')
    await leading.leader.takeFence(leftMs())
    stages.end('fenceMs')
    const drained = await leading.leader.drain()
    stages.end('drainMs')
    if (!(await leading.leader.acknowledgements.confirm(target.node, drained, leftMs())))
      throw new Error('it did not confirm the position in time')
    stages.end('confirmMs')
    return drained
  }

  /**
   * Throws SWITCHOVER_FAILED or LEADERLESS when the target says that it does not lead,
   * SWITCHOVER_UNKNOWN when it says nothing.
   */
  async #giveTo(
    target: NodePlace,
    drained: Drained,
    by: string,
    aheadMs: number,
  ): Promise<{ readonly epoch: number; readonly txid: number }> {
    const { identity, timeoutMs, own, isRefusal, recordLeading, leading, follow, said, log } =
      this.#parts
    try {
      // One that is frozen may get to it long after this node has given it up, and somebody else
      // has been promoted.
      const until = Math.floor(identity.nowMs() + aheadMs + timeoutMs)
      const parameters = { ...drained, from: own().node, to: target.node, by, until }
      const answer = await tellPeer(
        identity,
        target.address,
        TAKE_OVER_PATH,
        parameters,
        timeoutMs,
        aheadMs,
      )
      return { epoch: Number(answer['epoch']), txid: Number(answer['txid']) }
    } catch (error) {
      if (isRefusal(error)) {
        await recordLeading().catch((failure) => this.#giveUp(target, error, failure))
        await this.#parts.carryOn()
        throw new WalcastError(
          'SWITCHOVER_FAILED',
          { to: target.node, detail: messageOf(error) },
          error,
        )
      }
      log.error(
        { to: target, error: messageOf(error) },
        'whether the other node leads is not known: following it',
      )
      await follow(await this.#parts.orFatal(leading.retire(undefined)), target.address)
      said(`switchover to ${target.node}, of which it is not known whether it leads`)
      throw new WalcastError(
        'SWITCHOVER_UNKNOWN',
        { to: target.node, detail: messageOf(error) },
        error,
      )
    }
  }

  /** The role file goes on saying that this node follows: so it does. Throws LEADERLESS. */
  async #giveUp(target: NodePlace, refusal: unknown, failure: unknown): Promise<never> {
    const { leading, follow, orFatal, said } = this.#parts
    await follow(await orFatal(leading.retire(undefined)), target.address)
    said(
      `nobody leads: ${target.node} did not take over, and that this node leads on could not be written down`,
    )
    const about = { to: target.node, refusal: messageOf(refusal), detail: messageOf(failure) }
    throw new WalcastError('LEADERLESS', about, failure)
  }

  async #followNow(target: NodePlace, epoch: number, endMs: number): Promise<void> {
    const { leading, follow, said, log } = this.#parts
    const held = await this.#parts.orFatal(leading.retire({ epoch, ...target }))
    const { replica } = await follow(held, target.address)
    said(`switchover to ${target.node}`)
    const isStreaming = () => replica.status.state === 'streaming'
    if (!(await this.#until(isStreaming, Math.max(LOOK_MS, endMs - monotonicMs()))))
      log.warn({ to: target }, 'the new leader is not followed yet')
  }

  async #until(check: () => boolean, timeoutMs: number): Promise<boolean> {
    for (const endMs = monotonicMs() + timeoutMs; !check(); await delay(LOOK_MS))
      if (monotonicMs() > endMs) return false
    return true
  }
}

function isNamed({ node, address }: ReplicaStatus, name: string): boolean {
  return node === name || address === name || `http://${address}` === name.replace(/\/$/, '')
}

/**
 * The answer with what the clients felt: nothing was executed before the new leader's application
 * took requests.
 */
export function withApplication(
  { pauseMs, stages, tookMs, ...rest }: SwitchoverAnswer,
  { waitedMs }: Acceptance,
): SwitchoverAnswer {
  const felt = { pauseMs: pauseMs + waitedMs, stages: { ...stages, applicationMs: waitedMs } }
  return { ...rest, ...felt, tookMs: Math.max(tookMs, pauseMs + waitedMs) }
}

/** How long each stage took. */
class Stages {
  #beganMs = 0
  readonly #taken: { -readonly [K in keyof SwitchoverStages]: number } = {
    quietMs: 0,
    fenceMs: 0,
    drainMs: 0,
    confirmMs: 0,
    recordMs: 0,
    takeOverMs: 0,
    applicationMs: 0,
    followMs: 0,
  }

  get taken(): SwitchoverStages {
    return this.#taken
  }

  begin(): void {
    this.#beganMs = monotonicMs()
  }

  end(stage: keyof SwitchoverStages): void {
    const nowMs = monotonicMs()
    this.#taken[stage] = nowMs - this.#beganMs
    this.#beganMs = nowMs
  }
}
