/**
 * Answers under way.
 *
 * A list and not a Set: each table that a Set outgrows or cleans up points to the one that follows it
 * and goes on holding what was in it. One that V8 counts as old keeps all that come after it, with
 * their requests, until the whole heap is collected; a proxy spent a fifth of its time on that.
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

interface Entry {
  readonly response: ServerResponse
  before: Entry | undefined
  after: Entry | undefined
}

export class UnderWay {
  #newest: Entry | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Gives what to call, once, when the answer is over. */
  add(response: ServerResponse): () => void {
    const entry: Entry = { response, before: this.#newest, after: undefined }
    if (this.#newest) this.#newest.after = entry
    this.#newest = entry
    this.#size++
    return () => this.#remove(entry)
  }

  /** As they are now: the list may change meanwhile. */
  all(): ServerResponse[] {
    const found: ServerResponse[] = []
    for (let entry = this.#newest; entry; entry = entry.before) found.push(entry.response)
    return found
  }

  /** The one that came last on this connection; undefined when none is under way there. */
  newestOn(socket: Socket): ServerResponse | undefined {
    let entry = this.#newest
    while (entry && entry.response.req.socket !== socket) entry = entry.before
    return entry?.response
  }

  #remove(entry: Entry): void {
    const { before, after } = entry
    if (before) before.after = after
    if (after) after.before = before
    else this.#newest = before
    entry.before = undefined
    entry.after = undefined
    this.#size--
  }
}
