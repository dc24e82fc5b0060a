/**
 * The note of this node in Consul: a key that a session of its own holds, so that it goes when the
 * node does not renew it.
 */
import type { ConsulAgent } from './agent.ts'
import { type ConsulKeys, written } from './keys.ts'
import type { ConsulSessions } from './sessions.ts'
import { transact } from './transaction.ts'

export class CandidateNote {
  readonly #agent: ConsulAgent
  readonly #keys: ConsulKeys
  readonly #sessions: ConsulSessions
  /** What is to be there. */
  #text: string | undefined
  #session: string | undefined
  /** Whether that session holds it, for all that is known. */
  #isThere = false
  #last: Promise<void> = Promise.resolve()

  constructor(agent: ConsulAgent, keys: ConsulKeys, sessions: ConsulSessions) {
    this.#agent = agent
    this.#keys = keys
    this.#sessions = sessions
  }

  publish(text: string, untilMs: number): Promise<void> {
    return this.#inOrder(() => {
      this.#text = text
      return this.#write(untilMs)
    })
  }

  keep(untilMs: number): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#text === undefined) return
      const isAlive = this.#isThere && (await this.#isRenewed(untilMs))
      if (!isAlive) await this.#write(untilMs)
    })
  }

  withdraw(untilMs: number): Promise<void> {
    return this.#inOrder(async () => {
      this.#text = undefined
      this.#isThere = false
      if (this.#session === undefined) return
      await this.#sessions.end(this.#session, untilMs)
      this.#session = undefined
    })
  }

  async #isRenewed(untilMs: number): Promise<boolean> {
    if (this.#session === undefined) return false
    return (await this.#sessions.renew(this.#session, untilMs)) !== undefined
  }

  async #write(untilMs: number): Promise<void> {
    this.#isThere = false
    const Key = this.#keys.note
    const note = written(this.#text ?? '')
    const hold = (Session: string) => ({ Verb: 'lock', Key, Session, ...note }) as const
    const held = this.#session
    this.#isThere = held !== undefined && (await transact(this.#agent, [hold(held)], untilMs))
    if (this.#isThere) return
    const { id } = await this.#sessions.begin(untilMs)
    this.#session = id
    // A former process of this node may still hold it.
    const steps = [{ Verb: 'delete', Key } as const, hold(id)]
    if (!(await transact(this.#agent, steps, untilMs)))
      throw this.#agent.away('the session of a note has ended at once')
    this.#isThere = true
  }

  /** One after another; a failure is that of its own caller. */
  #inOrder(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }
}
