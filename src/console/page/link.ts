/**
 * The page's connection to its node: who is logged in, then the stream of events. When the node
 * goes away the page keeps what it knows, says since when, and tries again, ever more rarely.
 *
 * The end of a stream does not tell why. The session does: it is asked before each attempt.
 */
import {
  CONSOLE_EVENTS,
  CONSOLE_EVENTS_PATH,
  type ConsoleEvent,
  SESSION_PATH,
  type SessionAnswer,
} from '../../api/consoleSession.ts'
import { withEvent, withoutSession } from './state.ts'
import type { Store } from './store.ts'

export interface Stream {
  close(): void
}

export interface StreamHandlers {
  onEvent(event: string, data: string): void
  /** The stream has ended or never began. */
  onEnd(): void
}

export interface LinkParts {
  readonly store: Store
  /** Throws when the node does not answer. */
  ask(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<SessionAnswer>
  open(path: string, events: readonly string[], handlers: StreamHandlers): Stream
  nowMs(): number
  setTimer(then: () => void, delayMs: number): () => void
  random(): number
}

/** A node that lives tells its time every second. */
const SILENT_MS = 6000
const FIRST_RETRY_MS = 500
const MAX_RETRY_MS = 10_000
const GROWTH = 1.6

export class NodeLink {
  readonly #parts: LinkParts
  #stream: Stream | undefined
  #cancelTimer: () => void = () => {}
  #attempt = 0
  #isPaused = false
  /** What an older attempt still waits for does not count. */
  #round = 0

  constructor(parts: LinkParts) {
    this.#parts = parts
  }

  start(): Promise<void> {
    return this.#connect()
  }

  /** Tries at once. */
  retry(): Promise<void> {
    this.#attempt = 0
    return this.#connect()
  }

  /** Until `resume`. What the page shows grows old meanwhile. */
  pause(): void {
    this.#end()
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    void this.retry()
  }

  /** Throws what the node refuses it with. */
  async login(token: string): Promise<void> {
    this.#take(await this.#parts.ask('POST', SESSION_PATH, { token }))
    await this.retry()
  }

  /** Other pages of the same browser learn of it when their stream ends. */
  async logout(): Promise<void> {
    await this.#parts.ask('DELETE', SESSION_PATH)
    this.#end()
    this.#parts.store.change(withoutSession)
  }

  async #connect(): Promise<void> {
    this.#end()
    const round = this.#round
    const { store, ask } = this.#parts
    try {
      const answer = await ask('GET', SESSION_PATH)
      if (round !== this.#round) return
      this.#take(answer)
    } catch {
      if (round === this.#round) this.#onAway()
      return
    }
    if (store.state.session) this.#open()
  }

  #open(): void {
    const { store, open } = this.#parts
    const round = this.#round
    const isNow = () => round === this.#round
    this.#stream = open(CONSOLE_EVENTS_PATH, CONSOLE_EVENTS, {
      onEvent: (event, data) => {
        if (isNow()) this.#onEvent(event as ConsoleEvent, data)
      },
      onEnd: () => {
        if (isNow()) this.#onAway()
      },
    })
    this.#expectWord()
    store.change((state) => (state.link.is === 'away' ? state : { ...state, link: CONNECTING }))
  }

  #onEvent(event: ConsoleEvent, data: string): void {
    this.#attempt = 0
    this.#expectWord()
    this.#parts.store.change((state) => {
      const next = withEvent(state, event, data)
      return next.link.is === 'live' ? next : { ...next, link: { is: 'live' } }
    })
  }

  #expectWord(): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#parts.setTimer(() => this.#onAway(), SILENT_MS)
  }

  #onAway(): void {
    this.#end()
    const { store, nowMs, random, setTimer } = this.#parts
    const boundMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * GROWTH ** Math.min(this.#attempt++, 20))
    const delayMs = boundMs * (0.5 + random() / 2)
    const atMs = nowMs()
    store.change((state) => {
      const sinceMs = state.link.is === 'away' ? state.link.sinceMs : atMs
      return { ...state, link: { is: 'away', sinceMs, nextTryMs: atMs + delayMs } }
    })
    this.#cancelTimer = setTimer(() => void this.#connect(), delayMs)
  }

  #take({ node, isOpen, session }: SessionAnswer): void {
    this.#parts.store.change((state) => {
      if (session) return { ...state, node, isOpen, session }
      return { ...withoutSession(state), node, isOpen, link: { is: 'live' } }
    })
  }

  #end(): void {
    this.#round++
    this.#cancelTimer()
    this.#stream?.close()
    this.#stream = undefined
  }
}

const CONNECTING = { is: 'connecting' } as const
