/**
 * Watches who leads. A leader asks the members that are not connected to it whether one of them
 * leads; a node without a leader asks all it knows. Both also notice when they have stood still
 * (SIGSTOP, a paused machine): much may have happened.
 */
import { askPeers, type PeerAnswer } from '../../cluster/peerCalls.ts'
import { cancelTimer, setRepeatingTimer, type Timer } from '../../platform/time.ts'

export interface PeerPollerOptions {
  readonly lookMs: number
  readonly timeoutMs: number
  /** A pause of the event loop that counts as having stood still. */
  readonly frozenMs: number
}

export interface PeerPollerHost {
  /** The time of day in ms: it goes on while the machine is paused, when monotonic clocks stand. */
  wallMs(): number
  /** A time in ms that nothing sets back. */
  monotonicMs(): number
  readonly cluster: () => string
  readonly node: () => string
  /** HOST:PORT of this node. */
  readonly address: () => string
  /** Whom to ask now; empty when there is nothing to find out. */
  whomToAsk(): readonly string[]
  /** Random id of this process. */
  readonly instance: string
  /** Another process with this node's id answered. */
  onTwin(twin: PeerAnswer): void
  /** Those of this cluster that answered, this node itself left out. */
  onAnswers(answers: readonly PeerAnswer[]): void
  /** This process has stood still for so long. */
  onFrozen(forMs: number): void
}

const TICK_MS = 250

export class PeerPoller {
  readonly #options: PeerPollerOptions
  readonly #host: PeerPollerHost
  #timer: Timer | undefined
  #looking: Promise<void> | undefined
  #lookedMs = 0
  #lastMonotonicMs: number
  #lastWallMs: number
  #stopped = false

  constructor(options: PeerPollerOptions, host: PeerPollerHost) {
    this.#options = options
    this.#host = host
    this.#lastMonotonicMs = host.monotonicMs()
    this.#lastWallMs = host.wallMs()
  }

  /** What went before does not count. */
  start(): void {
    this.#lastMonotonicMs = this.#host.monotonicMs()
    this.#lastWallMs = this.#host.wallMs()
    this.#timer = setRepeatingTimer(() => this.#tick(), TICK_MS)
  }

  /** To be called often, and before anything that only a leader may do. Cheap. */
  checkAlive(): void {
    const [monotonicMs, wallMs] = [this.#host.monotonicMs(), this.#host.wallMs()]
    // A paused machine may stop either clock; one that is set is asked in vain, and that costs
    // nothing.
    const pauseMs = Math.max(
      monotonicMs - this.#lastMonotonicMs,
      Math.abs(wallMs - this.#lastWallMs),
    )
    this.#lastMonotonicMs = monotonicMs
    this.#lastWallMs = wallMs
    if (pauseMs > this.#options.frozenMs && !this.#stopped) this.#host.onFrozen(pauseMs)
  }

  /** Asks at once, or joins the look that is under way. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /**
   * Those of this cluster that answer, this node itself left out. `onTwin` hears of another process
   * with its id.
   */
  async ask(
    addresses: readonly string[],
    onTwin: PeerPollerHost['onTwin'] = this.#host.onTwin,
  ): Promise<PeerAnswer[]> {
    const [cluster, node] = [this.#host.cluster(), this.#host.node()]
    const isOfCluster = (answer: PeerAnswer) => cluster === '' || answer.cluster === cluster
    const direct = (await askPeers(addresses, this.#options.timeoutMs)).filter(isOfCluster)
    const elsewhere = await askPeers(this.#ownElsewhere(direct, addresses), this.#options.timeoutMs)
    const ofCluster = [...direct, ...elsewhere.filter(isOfCluster)]
    for (const answer of ofCluster)
      if (answer.node === node && answer.instance !== this.#host.instance) onTwin(answer)
    return ofCluster.filter((answer) => answer.node !== node)
  }

  /**
   * Where a replica says that this node leads, and it does not: a process with its id may be there.
   */
  #ownElsewhere(answers: readonly PeerAnswer[], asked: readonly string[]): string[] {
    const [node, own] = [this.#host.node(), this.#host.address()]
    const places = answers.filter((each) => each.role !== 'leader' && each.lastLeader === node)
    return places
      .map(({ address }) => address)
      .filter((each) => each !== '' && each !== own && !asked.includes(each))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    cancelTimer(this.#timer)
    await this.#looking
  }

  #tick(): void {
    this.checkAlive()
    const nowMs = this.#host.monotonicMs()
    if (nowMs - this.#lookedMs < this.#options.lookMs) return
    this.#lookedMs = nowMs
    void this.look()
  }

  async #look(): Promise<void> {
    const whom = this.#host.whomToAsk()
    if (whom.length === 0) return
    const answers = await this.ask(whom)
    if (!this.#stopped) this.#host.onAnswers(answers)
  }
}
