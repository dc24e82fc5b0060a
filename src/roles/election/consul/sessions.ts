/**
 * Sessions of Consul, on which keys are held
 * (https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions). When one ends, by its
 * TTL or by hand, Consul removes the keys that it holds.
 *
 * Each is made without checks. By default Consul ends a session too when its gossip takes the
 * agent's machine for dead, which may be long before the TTL: a leader would not know of it.
 *
 * Consul ends a session between once and twice its TTL after the last renewal. It refuses a TTL
 * below its `session_ttl_min`, 10 s unless set; what is asked for is raised to that.
 */
import { Fields } from '../../../cluster/checkedFields.ts'
import { monotonicMs } from '../../../platform/time.ts'
import type { ConsulAgent } from './agent.ts'
import { goDurationMs } from './goDuration.ts'

export interface SessionBegun {
  readonly id: string
  readonly ttlMs: number
  /** When it was asked for, by the monotonic clock. */
  readonly sentMs: number
}

const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const TTL_BOUNDS = /TTL.*must be between \[([^=\]]+)=([^\]]+)\]/
const ENDED = /^session id .* not found/i
const UNKNOWN = /unknown session/i
/** A leader that is gone would be missed for twice as long. */
const MAX_RAISED_MS = 60_000
const NONE: readonly string[] = []

export class ConsulSessions {
  readonly #agent: ConsulAgent
  readonly #name: string
  #ttlMs: number

  /** `name`: for people who list sessions. `ttlMs`: what is asked for. */
  constructor(agent: ConsulAgent, name: string, ttlMs: number) {
    this.#agent = agent
    this.#name = name
    this.#ttlMs = ttlMs
  }

  /** Throws ELECTION_AWAY, or ELECTION_UNFIT when Consul takes no TTL that is near. */
  async begin(untilMs: number): Promise<SessionBegun> {
    const sentMs = monotonicMs()
    const first = await this.#create(untilMs)
    if (first !== undefined) return { id: first, ttlMs: this.#ttlMs, sentMs }
    const againMs = monotonicMs()
    const second = await this.#create(untilMs)
    if (second === undefined) throw this.#agent.away('it refuses the TTL that it asked for')
    return { id: second, ttlMs: this.#ttlMs, sentMs: againMs }
  }

  /** Its TTL, ms; undefined when it has ended. Throws ELECTION_AWAY. */
  async renew(id: string, untilMs: number): Promise<number | undefined> {
    const path = `session/renew/${id}`
    const answer = await this.#agent.request({ method: 'PUT', path, untilMs })
    if (answer.status === 404 && ENDED.test(answer.text)) return undefined
    return this.#ttlOf(this.#sessionIn(this.#agent.json(answer), id))
  }

  /** Also when it has ended already. Throws ELECTION_AWAY. */
  async end(id: string, untilMs: number): Promise<void> {
    const path = `session/destroy/${id}`
    const { status, text } = await this.#agent.request({ method: 'PUT', path, untilMs })
    if (status === 200 || UNKNOWN.test(text)) return
    throw this.#agent.refusal(status, text)
  }

  /** What is wrong with a session as Consul has kept it; undefined when nothing is. */
  async flawOf({ id, ttlMs }: SessionBegun, untilMs: number): Promise<string | undefined> {
    const answer = await this.#agent.request({
      method: 'GET',
      path: `session/info/${id}`,
      query: { consistent: '' },
      untilMs,
    })
    const session = this.#sessionIn(this.#agent.json(answer), id)
    const checks = ['Checks', 'NodeChecks', 'ServiceChecks'].flatMap(
      (name) => session.value(name) ?? NONE,
    )
    if (checks.length > 0) return 'its sessions end when a check of health fails'
    if (session.value('Behavior') !== 'delete') return 'its sessions leave the keys that they held'
    if (session.value('LockDelay') !== 0) return 'its sessions delay the next lock'
    return this.#ttlOf(session) === ttlMs ? undefined : 'its sessions have another TTL'
  }

  /** Undefined when the TTL is too short; the least is asked for from then on. */
  async #create(untilMs: number): Promise<string | undefined> {
    const answer = await this.#agent.request({
      method: 'PUT',
      path: 'session/create',
      body: {
        Name: this.#name,
        TTL: `${this.#ttlMs}ms`,
        Behavior: 'delete',
        LockDelay: '0s',
        // The name before 1.7, and the one since; without them Consul adds a check of its own.
        Checks: [],
        NodeChecks: [],
      },
      untilMs,
    })
    const bounds = answer.status === 200 ? null : TTL_BOUNDS.exec(answer.text)
    if (bounds) {
      this.#raise(bounds[1], bounds[2])
      return undefined
    }
    const made = this.#agent.json(answer)
    try {
      return new Fields(made, 'its answer').match('ID', ID)
    } catch (error) {
      throw this.#agent.away('it names no session', error)
    }
  }

  #raise(least: string, most: string): void {
    const leastMs = goDurationMs(least)
    if (leastMs === undefined || leastMs <= this.#ttlMs || leastMs > MAX_RAISED_MS)
      throw this.#agent.unfit(
        `a TTL of ${this.#ttlMs} ms is asked for, its sessions last from ${least} to ${most}`,
      )
    this.#ttlMs = leastMs
  }

  #sessionIn(list: unknown, id: string): Fields {
    try {
      const session = new Fields(Array.isArray(list) ? list[0] : undefined, 'the session')
      if (session.match('ID', ID) === id) return session
    } catch (error) {
      throw this.#agent.away('it tells nothing of the session', error)
    }
    throw this.#agent.away('it tells of another session')
  }

  #ttlOf(session: Fields): number {
    const text = session.value('TTL')
    const ttlMs = typeof text === 'string' ? goDurationMs(text) : undefined
    if (ttlMs === undefined || ttlMs <= 0) throw this.#agent.away('its session has no TTL')
    return ttlMs
  }
}
