/**
 * The steps of the torture of balancers: one change of leader, or one death, each from a state in
 * which all is well to the next such state, with the moments that decide what a failed request may
 * be excused by.
 */
import type { Haproxy } from '../support/balancers.ts'
import type { Cause, Interruption, Mark } from '../support/interruptions.ts'
import { promote, Refused, switchover } from '../support/leadership.ts'
import type { RecordingClient } from '../support/recordingClient.ts'
import type { RunSite } from '../support/runSite.ts'
import { until } from '../support/until.ts'

/** Successful answers that each step waits for once all is well again. */
const STEP_ANSWERS = 100

type Moments = Omit<Interruption, 'cause' | 'fromMs' | 'toMs'>
type Pair = { readonly leader: RunSite; readonly replica: RunSite }

export class BalancersLab {
  readonly #sites: readonly [RunSite, RunSite]
  readonly #haproxy: Haproxy
  readonly #client: RecordingClient
  readonly #onStep: (step: Interruption) => void
  readonly interruptions: Interruption[] = []
  readonly marks: Mark[] = []
  /** Promotions that needed --force. */
  forced = 0
  #fromMs: number

  /** `onStep` is called after each step. */
  constructor(
    sites: readonly [RunSite, RunSite],
    haproxy: Haproxy,
    client: RecordingClient,
    onStep: (step: Interruption) => void,
  ) {
    this.#sites = sites
    this.#haproxy = haproxy
    this.#client = client
    this.#onStep = onStep
    this.#fromMs = performance.now()
  }

  /**
   * Returns the pause that the nodes report, in ms. It waits for no balancer: leadership may move
   * again before a health check.
   */
  async changeLeader(): Promise<number> {
    const { leader } = await this.#pair()
    await this.#untilLevel()
    const struckMs = performance.now()
    const { pauseMs } = await switchover(leader.node)
    await this.#over('switchover', { struckMs })
    return pauseMs
  }

  /** SIGKILL. If this node led, the other is promoted and serves alone until this one restarts. */
  async killNode(role: 'leader' | 'replica'): Promise<void> {
    const pair = await this.settled()
    const victim = pair[role]
    const survivor = role === 'leader' ? pair.replica : pair.leader
    const struckMs = performance.now()
    await victim.node.stop('SIGKILL')
    const diedMs = performance.now()
    if (role === 'leader') {
      this.marks.push({ what: 'died', atMs: diedMs })
      await until('the other node is promoted', () => this.#promote(survivor))
    }
    await this.#untilSeen([survivor], [survivor])
    const seenMs = performance.now()
    await this.#client.writesEverywhere()
    const aloneToMs = performance.now()
    await victim.restart()
    await this.settled()
    await this.#over(`${role} node`, { struckMs, diedMs, seenMs, aloneToMs })
  }

  /**
   * SIGKILL. No balancer checks the application: its node holds new requests for the next process.
   */
  async killApplication(role: 'leader' | 'replica'): Promise<void> {
    const site = (await this.settled())[role]
    const struckMs = performance.now()
    await site.killApplication()
    const seenMs = performance.now()
    await this.settled()
    await this.#over(`${role} application`, { struckMs, seenMs })
  }

  /**
   * As an operator does: with --force where the survivor lacks commits that only the dead node had.
   */
  async #promote({ node }: RunSite): Promise<boolean> {
    try {
      await promote(node)
    } catch (error) {
      const isUnfit = error instanceof Refused && error.code === 'NOT_FIT'
      if (!isUnfit || (await node.lag()).connected) throw error
      this.forced++
      await promote(node, { force: true })
    }
    return true
  }

  /**
   * One node leads, the other has every answered write, both applications answer, and HAProxy knows
   * all that.
   */
  async settled(): Promise<Pair> {
    const pair = await this.#pair()
    for (const site of this.#sites) await site.applicationPid()
    await this.#untilSeen([pair.leader], this.#sites)
    await this.#untilLevel()
    return pair
  }

  /** Both are ready. */
  async #pair(): Promise<Pair> {
    const [a, b] = this.#sites
    const pair = await until('one node leads', async () => {
      const roles = await Promise.all(
        this.#sites.map(async ({ node }) => (await node.status()).role),
      )
      if (roles.filter((role) => role === 'leader').length !== 1) return undefined
      return roles[0] === 'leader' ? { leader: a, replica: b } : { leader: b, replica: a }
    })
    for (const site of this.#sites) {
      await site.node.ready()
      await site.readyForClients()
    }
    return pair
  }

  /** Every write answered until now is on both nodes. */
  async #untilLevel(): Promise<void> {
    const { leader, replica } = await this.#pair()
    const atMs = performance.now()
    const { epoch, txid } = await leader.node.status()
    await until('the replica has what was answered', async (saw) => {
      const there = await replica.node.status()
      saw(`${there.state} at ${there.epoch}-${there.txid} of ${epoch}-${txid}`)
      return there.state === 'streaming' && there.epoch === epoch && there.txid >= txid
    })
    this.marks.push({ what: 'level', atMs })
  }

  async #untilSeen(leader: readonly RunSite[], ready: readonly RunSite[]): Promise<void> {
    const namesOf = (sites: readonly RunSite[]) =>
      sites
        .map(({ name }) => name)
        .sort()
        .join()
    await until('HAProxy has seen it', async (saw) => {
      const standing = await this.#haproxy.standing()
      saw(JSON.stringify(standing))
      return standing.leader.join() === namesOf(leader) && standing.nodes.join() === namesOf(ready)
    })
  }

  async #over(cause: Cause, moments: Moments): Promise<void> {
    await this.#client.advance(STEP_ANSWERS)
    const toMs = performance.now()
    const interruption = { cause, fromMs: this.#fromMs, toMs, ...moments }
    this.#fromMs = toMs
    this.interruptions.push(interruption)
    this.#onStep(interruption)
  }
}
