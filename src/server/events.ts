/**
 * `GET /_walcast/events`: positions, roles, the state of synchronisation, and that of the archive,
 * as server-sent events.
 */
import type { ServerResponse } from 'node:http'
import { formatPosition } from '../../proto/position.ts'
import type { DatabaseStatus } from '../api/databaseStatus.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import type { StateEvent } from '../health/archiveEvents.ts'
import { cancelTimer, onNextTurn, setRepeatingTimer, type Timer } from '../platform/time.ts'
import { type EventStream, EventStreams, type EventStreamsOptions } from './eventStreams.ts'

/** How often the states are looked at that change without a call of `onChange`. */
const LOOK_MS = 1000

interface Listener {
  readonly stream: EventStream
  role: string
  sync: string
  position: string
  /** The last data of each state event. */
  readonly states: Map<string, string>
}

export class Events {
  /** With those of the console: one bound for all. */
  readonly streams: EventStreams
  readonly #view: Pick<DatabaseView, 'status'>
  readonly #listeners = new Set<Listener>()
  readonly #look: () => readonly StateEvent[]
  #timer: Timer | undefined
  #pending = false

  /** `look` is called once a second while somebody listens. */
  constructor(
    options: EventStreamsOptions,
    view: Pick<DatabaseView, 'status'>,
    look: () => readonly StateEvent[] = () => [],
  ) {
    this.streams = new EventStreams(options)
    this.#view = view
    this.#look = look
  }

  get size(): number {
    return this.streams.size
  }

  /**
   * Sends the present state and then each change, until the client closes, or would no longer be
   * let in: that is looked at before each event and comment. Throws TOO_MANY_EVENT_STREAMS.
   */
  add(response: ServerResponse, isStillIn: () => boolean = () => true): void {
    const [role, sync, position] = ['', '', '']
    let end = () => {}
    const stream = this.streams.open(response, isStillIn, () => end())
    if (!stream) return
    const listener: Listener = { stream, role, sync, position, states: new Map() }
    this.#listeners.add(listener)
    end = () => this.#remove(listener)
    this.#timer ??= setRepeatingTimer(() => this.#tellStates(this.#listeners), LOOK_MS)
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
    this.streams.close()
  }

  #tell(listener: Listener, status: DatabaseStatus): void {
    if (!listener.stream.checkAccess()) return
    const { role, leader, epoch, txid, sync, state } = status
    const roleText = JSON.stringify({ role, leader, epoch })
    if (listener.role !== roleText) {
      listener.role = roleText
      listener.stream.send('role', roleText)
    }
    const syncText = JSON.stringify({ state, ...(sync ?? {}) })
    if (listener.sync !== syncText) {
      listener.sync = syncText
      listener.stream.send('sync', syncText)
    }
    const position = formatPosition({ epoch, txid })
    if (listener.position !== position) {
      listener.position = position
      listener.stream.send('position', JSON.stringify({ position, epoch, txid }))
    }
  }

  #tellStates(listeners: Iterable<Listener>): void {
    const states = this.#look().map(({ event, of, data }) => {
      return { event, key: `${event} ${of}`, text: JSON.stringify(data) }
    })
    for (const listener of listeners) {
      const news = states.filter(({ key, text }) => listener.states.get(key) !== text)
      if (news.length > 0 && !listener.stream.checkAccess()) continue
      for (const { event, key, text } of news) {
        listener.states.set(key, text)
        listener.stream.send(event, text)
      }
    }
  }

  #remove(listener: Listener): void {
    this.#listeners.delete(listener)
    if (this.#listeners.size > 0) return
    cancelTimer(this.#timer)
    this.#timer = undefined
  }
}
