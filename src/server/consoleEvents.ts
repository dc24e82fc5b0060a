/**
 * `GET /_walcast/console/events`: all that the page of the console shows, in one stream. Each part
 * comes whole when it has changed, at most once a second.
 *
 * The parts are read while somebody listens, once for all listeners. A part that cannot be read,
 * such as while the node starts, stays as it was.
 */
import type { ServerResponse } from 'node:http'
import type { ConsoleEvent, ConsoleSession } from '../api/consoleSession.ts'
import { cancelTimer, monotonicMs, setRepeatingTimer, type Timer } from '../platform/time.ts'
import type { EventStream, EventStreams } from './eventStreams.ts'

const LOOK_MS = 1000
/** A listener that leaves more bytes unread is cut off. The first state of a large cluster fits. */
const MAX_UNREAD_BYTES = 2 * 1024 * 1024

export interface ConsolePart {
  readonly event: Exclude<ConsoleEvent, 'session'>
  read(): unknown
  /** Shortest pause between two readings; as often as once a second unless given. */
  readonly everyMs?: number
  /** What of it counts as a change; all of it unless given. */
  changing?(value: unknown): unknown
}

interface Kept {
  /** What was compared, as JSON. */
  readonly key: string
  readonly text: string
}

interface Listener {
  readonly stream: EventStream
  /** The key of each part that it was sent. */
  readonly sent: Map<ConsoleEvent, string>
}

export class ConsoleEvents {
  readonly #streams: EventStreams
  readonly #parts: readonly ConsolePart[]
  readonly #kept = new Map<ConsoleEvent, Kept>()
  readonly #listeners = new Set<Listener>()
  /** Parts that are being read: a slow one is not read twice at once. */
  readonly #reading = new Set<ConsolePart>()
  readonly #readMs = new Map<ConsolePart, number>()
  #timer: Timer | undefined

  constructor(streams: EventStreams, parts: readonly ConsolePart[]) {
    this.#streams = streams
    this.#parts = parts
  }

  /** Throws TOO_MANY_EVENT_STREAMS. */
  add(response: ServerResponse, isStillIn: () => boolean, session: ConsoleSession | null): void {
    let end = () => {}
    const stream = this.#streams.open(response, isStillIn, () => end(), MAX_UNREAD_BYTES)
    if (!stream) return
    const listener: Listener = { stream, sent: new Map() }
    this.#listeners.add(listener)
    end = () => this.#remove(listener)
    stream.send('session', JSON.stringify(session))
    this.#tell(listener)
    if (this.#timer) return
    this.#timer = setRepeatingTimer(() => this.#look(), LOOK_MS)
    this.#look()
  }

  #look(): void {
    for (const part of this.#parts) void this.#read(part)
  }

  async #read(part: ConsolePart): Promise<void> {
    const { everyMs = 0 } = part
    const isTooEarly = monotonicMs() - (this.#readMs.get(part) ?? -Infinity) < everyMs
    if (this.#reading.has(part) || isTooEarly) return
    this.#reading.add(part)
    this.#readMs.set(part, monotonicMs())
    try {
      const value = await part.read()
      const text = JSON.stringify(value)
      const key = part.changing ? JSON.stringify(part.changing(value)) : text
      if (text === undefined || this.#kept.get(part.event)?.key === key) return
      this.#kept.set(part.event, { key, text })
    } catch {
      return
    } finally {
      this.#reading.delete(part)
    }
    for (const listener of this.#listeners) this.#tell(listener)
  }

  #tell({ stream, sent }: Listener): void {
    for (const [event, { key, text }] of this.#kept) {
      if (sent.get(event) === key) continue
      if (!stream.checkAccess()) return
      sent.set(event, key)
      stream.send(event, text)
    }
  }

  #remove(listener: Listener): void {
    this.#listeners.delete(listener)
    if (this.#listeners.size > 0) return
    cancelTimer(this.#timer)
    this.#timer = undefined
    // The next listener is not to be told of a past.
    this.#kept.clear()
    this.#readMs.clear()
  }
}
