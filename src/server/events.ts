/**
 * `GET /_walcast/events`: positions, roles, the state of synchronisation, and that of the archive,
 * as server-sent events (WHATWG HTML, section 9.2).
 */
import type { ServerResponse } from 'node:http'
import { formatPosition } from '../../proto/position.ts'
import type { DatabaseStatus } from '../api/databaseStatus.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import { WalcastError } from '../errors.ts'
import type { StateEvent } from '../health/archiveEvents.ts'
import { cancelTimer, onNextTurn, setRepeatingTimer, type Timer } from '../platform/time.ts'

export interface EventsOptions {
  readonly maxListeners: number
  /** Pause between two comments on a quiet stream: neither side must take it for dead. */
  readonly keepAliveMs: number
}

/** A listener that leaves more bytes unread is cut off. */
const MAX_UNREAD_BYTES = 64 * 1024
/** How often the states are looked at that change without a call of `onChange`. */
const LOOK_MS = 1000

interface Listener {
  readonly response: ServerResponse
  /** Whether it would still be let in. */
  readonly isStillIn: () => boolean
  role: string
  sync: string
  position: string
  /** The last data of each state event. */
  readonly states: Map<string, string>
}

export class Events {
  readonly #options: EventsOptions
  readonly #view: Pick<DatabaseView, 'status'>
  readonly #listeners = new Set<Listener>()
  readonly #look: () => readonly StateEvent[]
  #timers: readonly Timer[] = []
  #pending = false

  /** `look` is called once a second while somebody listens. */
  constructor(
    options: EventsOptions,
    view: Pick<DatabaseView, 'status'>,
    look: () => readonly StateEvent[] = () => [],
  ) {
    this.#options = options
    this.#view = view
    this.#look = look
  }

  get size(): number {
    return this.#listeners.size
  }

  /**
   * Sends the present state and then each change, until the client closes, or would no longer be
   * let in: that is looked at before each event and comment. Throws TOO_MANY_EVENT_STREAMS.
   */
  add(response: ServerResponse, isStillIn: () => boolean = () => true): void {
    const { maxListeners, keepAliveMs } = this.#options
    if (response.destroyed) return
    if (this.#listeners.size >= maxListeners)
      throw new WalcastError('TOO_MANY_EVENT_STREAMS', { limit: maxListeners })
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    const [role, sync, position] = ['', '', '']
    const listener: Listener = { response, isStillIn, role, sync, position, states: new Map() }
    this.#listeners.add(listener)
    if (this.#timers.length === 0)
      this.#timers = [
        setRepeatingTimer(() => this.#keepAlive(), keepAliveMs),
        setRepeatingTimer(() => this.#tellStates(this.#listeners), LOOK_MS),
      ]
    response.once('close', () => this.#remove(listener))
    this.#tell(listener, this.#view.status())
    this.#tellStates([listener])
  }

  /**
   * To be called when something may have changed. The calls in one turn of the event loop make one
   * event.
   */
  onChange(): void {
    if (this.#listeners.size === 0 || this.#pending) return
    this.#pending = true
    onNextTurn(() => {
      this.#pending = false
      if (this.#listeners.size === 0) return
      const status = this.#view.status()
      for (const listener of this.#listeners) this.#tell(listener, status)
    })
  }

  close(): void {
    for (const { response } of this.#listeners) response.end()
  }

  #tell(listener: Listener, status: DatabaseStatus): void {
    if (!listener.isStillIn()) return void listener.response.destroy()
    const { role, leader, epoch, txid, sync, state } = status
    const roleText = JSON.stringify({ role, leader, epoch })
    if (listener.role !== roleText) {
      listener.role = roleText
      this.#send(listener, 'role', roleText)
    }
    const syncText = JSON.stringify({ state, ...(sync ?? {}) })
    if (listener.sync !== syncText) {
      listener.sync = syncText
      this.#send(listener, 'sync', syncText)
    }
    const position = formatPosition({ epoch, txid })
    if (listener.position !== position) {
      listener.position = position
      this.#send(listener, 'position', JSON.stringify({ position, epoch, txid }))
    }
  }

  #tellStates(listeners: Iterable<Listener>): void {
    const states = this.#look().map(({ event, of, data }) => {
      return { event, key: `${event} ${of}`, text: JSON.stringify(data) }
    })
    for (const listener of listeners) {
      const news = states.filter(({ key, text }) => listener.states.get(key) !== text)
      if (news.length > 0 && !listener.isStillIn()) listener.response.destroy()
      for (const { event, key, text } of news) {
        listener.states.set(key, text)
        this.#send(listener, event, text)
      }
    }
  }

  #send({ response }: Listener, event: string, data: string): void {
    if (response.writableEnded || response.destroyed) return
    if (response.writableLength > MAX_UNREAD_BYTES) return void response.destroy()
    response.write(`event: ${event}\ndata: ${data}\n\n`)
  }

  #keepAlive(): void {
    for (const { response, isStillIn } of this.#listeners)
      if (!isStillIn()) response.destroy()
      else if (!response.writableEnded) response.write(':\n\n')
  }

  #remove(listener: Listener): void {
    this.#listeners.delete(listener)
    if (this.#listeners.size > 0) return
    for (const timer of this.#timers) cancelTimer(timer)
    this.#timers = []
  }
}
