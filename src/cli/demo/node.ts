/** One node of the demo: `walcast` in a process of its own, and its answers. */

import type { LagReport, NodeStatus } from '../../api/nodeStatus.ts'
import { keyOf } from '../../errors.ts'
import { httpClient } from '../../platform/httpClient.ts'
import { timeLimit } from '../../platform/time.ts'
import { LAG, STATUS } from '../answerShapes.ts'
import { getJson } from '../nodeClient.ts'
import { addressTarget } from '../nodeTarget.ts'
import { fields, flag, type Shape } from '../shape.ts'
import type { Child, Children } from './children.ts'
import { type Counts, countsIn, Tally } from './metrics.ts'

const METRICS_TIMEOUT_MS = 2000
/** `GET /readyz`. */
const READY = fields({ ready: flag })

export interface DemoNodeOptions {
  readonly name: string
  readonly db: string
  readonly port: number
  /** Address of the leader, for a replica. */
  readonly leader?: string
  /** Environment with the cluster's secret. */
  readonly environment: NodeJS.ProcessEnv
}

export class DemoNode {
  readonly name: string
  readonly db: string
  readonly address: string
  readonly tally = new Tally()
  readonly #options: DemoNodeOptions
  readonly #children: Children
  #child: Child | undefined
  /** What the demo last did to it; '' once it is ready. */
  note = 'starting'

  constructor(children: Children, options: DemoNodeOptions) {
    this.name = options.name
    this.db = options.db
    this.address = `127.0.0.1:${options.port}`
    this.#options = options
    this.#children = children
  }

  start(): void {
    const { leader } = this.#options
    const role = leader ? ['replica', '--leader', leader] : ['leader']
    this.tally.onRestart()
    this.note = 'starting'
    this.#child = this.#children.start(this.name, 'cli/main', [
      ...role,
      '--db',
      this.db,
      '--listen',
      this.address,
      '--name',
      this.name,
    ])
  }

  /** Ends the process and waits until it is gone. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    this.note = signal === 'SIGTERM' ? 'stopped' : 'killed'
    return (await this.#child?.stop(signal)) ?? 0
  }

  status(): Promise<NodeStatus | undefined> {
    return this.#ask<NodeStatus>('/_walcast/status', STATUS)
  }

  lag(): Promise<LagReport | undefined> {
    return this.#ask<LagReport>('/_walcast/lag', LAG)
  }

  /** True once the node reports that it can serve. */
  async isReady(): Promise<boolean> {
    const ready = (await this.#ask<{ readonly ready: boolean }>('/readyz', READY))?.ready === true
    if (ready) this.note = ''
    return ready
  }

  /** Reads the counters of the present process and adds them to those of earlier ones. */
  async counts(): Promise<Counts> {
    try {
      const signal = timeLimit(METRICS_TIMEOUT_MS)
      const url = `http://${this.address}/metrics`
      const { statusCode, body } = await httpClient().request(url, { signal })
      const text = await body.text()
      if (statusCode === 200) this.tally.set(countsIn(text))
    } catch {
      // The node is away: the last counts stay.
    }
    return this.tally.total
  }

  logTail(): string {
    return this.#child?.logTail() ?? ''
  }

  /** Undefined while the node is away or still starting. */
  async #ask<T>(path: string, shape: Shape): Promise<T | undefined> {
    try {
      return await getJson<T>(addressTarget(this.address), path, this.#options.environment, shape)
    } catch (error) {
      if (keyOf(error) === 'NODE_UNREACHABLE' || keyOf(error) === 'NODE_ANSWER') return undefined
      throw error
    }
  }
}
