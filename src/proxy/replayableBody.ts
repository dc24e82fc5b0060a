/**
 * A request's body that can be sent again as long as it is small. It is streamed: what has passed
 * is kept up to a bound, and past that it can be sent only once. It reads from its source only
 * while it is taken.
 */
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Client } from './client.ts'

/** What keeping a chunk costs beside its bytes: a body may come byte by byte. */
const CHUNK_COST_BYTES = 128

/** Memory for the kept bodies of all requests of a node together. */
export class BodyBudget {
  readonly limitBytes: number
  #usedBytes = 0

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Takes `bytes` more; false when there is no room. */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.limitBytes) return false
    this.#usedBytes += bytes
    return true
  }

  release(bytes: number): void {
    this.#usedBytes -= bytes
  }
}

export class ReplayableBody {
  readonly #source: Readable
  readonly #maxBytes: number
  readonly #budget: BodyBudget
  #onChunk: (chunk: Buffer) => void
  #kept: Buffer[] = []
  #keptBytes = 0
  /** How much of the budget it has taken. */
  #costBytes = 0
  #replayable = true
  #listening = false
  #ended = false
  #failure: Error | undefined
  #reader: Readable | undefined
  /** The reader, once it has had everything that was kept. */
  #live: Readable | undefined
  /** Settled once the whole body is kept (true), its bound is reached (false), or it broke off. */
  #gathering: { resolve(isWhole: boolean): void; reject(error: Error): void } | undefined

  /** `onChunk` sees each byte once, as it comes. */
  constructor(
    source: Readable,
    maxBytes: number,
    budget: BodyBudget,
    onChunk: (chunk: Buffer) => void = () => {},
  ) {
    this.#source = source
    this.#onChunk = onChunk
    this.#maxBytes = maxBytes
    this.#budget = budget
  }

  /**
   * From now on `onChunk` sees each byte, and at once those that have come. Call it only while the
   * body can be replayed.
   */
  tap(onChunk: (chunk: Buffer) => void): void {
    for (const chunk of this.#kept) onChunk(chunk)
    this.#onChunk = onChunk
  }

  /**
   * Reads the body before it is sent. True when the whole body is kept; false when it is larger
   * than the bound and goes on as it comes, at once if `declaredBytes` says so. Rejects when the
   * body breaks off first.
   */
  async gather(declaredBytes = 0): Promise<boolean> {
    if (!this.canReplay || declaredBytes > this.#maxBytes) return false
    if (this.#ended) return true
    // The reader may have stopped reading, and would hold up the source.
    const reader = this.#reader
    this.#reader = undefined
    this.#live = undefined
    reader?.destroy()
    return new Promise((resolve, reject) => {
      this.#gathering = { resolve, reject }
      if (!this.#listening) this.#listen()
      if (this.#failure) this.#gathered(this.#failure)
      else this.#source.resume()
    })
  }

  /** Reads to the end and keeps nothing: only `onChunk` wants the body. Never rejects. */
  async drain(): Promise<void> {
    this.release()
    if (!this.#listening) this.#listen()
    this.#source.resume()
    await finished(this.#source, { writable: false }).catch(() => {})
  }

  /** Whether `stream` can still give the whole body. */
  get canReplay(): boolean {
    return this.#replayable && (this.#listening || !this.#source.readableDidRead)
  }

  /**
   * The body from its beginning. Ends an earlier stream. Throws if too much of the body has passed:
   * ask `canReplay` first.
   */
  stream(): Readable {
    if (!this.canReplay) throw new Error('the body has passed')
    this.#reader?.destroy()
    let next = 0
    // The list as it is now: this stream goes on to its end even if what was kept is released
    // meanwhile.
    const kept = this.#kept
    this.#live = undefined
    const reader: Readable = new Readable({
      read: () => {
        if (this.#live !== reader && next < kept.length) reader.push(kept[next++])
        else if (this.#failure) reader.destroy(this.#failure)
        else if (this.#ended) reader.push(null)
        else this.#pull(reader)
      },
      destroy: (error, done) => {
        if (this.#reader === reader) this.#detach()
        done(error)
      },
    })
    reader.on('error', () => {})
    this.#reader = reader
    return reader
  }

  /** Forgets what was kept. The body cannot be sent again. */
  release(): void {
    this.#replayable = false
    this.#kept = []
    this.#budget.release(this.#costBytes)
    this.#costBytes = 0
    this.#keptBytes = 0
  }

  #pull(reader: Readable): void {
    if (this.#reader !== reader) return
    this.#live = reader
    if (!this.#listening) this.#listen()
    this.#source.resume()
  }

  #detach(): void {
    this.#reader = undefined
    this.#live = undefined
    if (this.#listening) this.#source.pause()
  }

  #listen(): void {
    this.#listening = true
    if (this.#source.destroyed) {
      // Its events are over.
      this.#failure = this.#source.errored ?? new Error('the body ended too early')
      return void this.#reader?.destroy(this.#failure)
    }
    this.#source.on('data', (chunk: Buffer) => this.#onData(chunk))
    this.#source.on('end', () => {
      this.#ended = true
      this.#gathered(true)
      this.#live?.push(null)
    })
    const fail = (error?: Error) => {
      if (this.#ended) return
      this.#failure ??= error ?? new Error('the body ended too early')
      this.#gathered(this.#failure)
      this.#reader?.destroy(this.#failure)
    }
    this.#source.on('error', fail)
    this.#source.on('close', () => fail())
  }

  #gathered(end: boolean | Error): void {
    const gathering = this.#gathering
    this.#gathering = undefined
    if (end instanceof Error) gathering?.reject(end)
    else if (this.#replayable) gathering?.resolve(end)
    else gathering?.reject(new Error('it was given up'))
  }

  #onData(chunk: Buffer): void {
    this.#onChunk(chunk)
    if (this.#replayable && !this.#keep(chunk)) {
      if (this.#gathering) return this.#exceed(chunk)
      this.release()
    }
    if (this.#live && !this.#live.push(chunk)) this.#source.pause()
  }

  /** False when there is no room. */
  #keep(chunk: Buffer): boolean {
    const cost = chunk.length + CHUNK_COST_BYTES
    if (this.#keptBytes + chunk.length > this.#maxBytes || !this.#budget.take(cost)) return false
    this.#kept.push(chunk)
    this.#keptBytes += chunk.length
    this.#costBytes += cost
    return true
  }

  /**
   * Keeps the one chunk past the bound, with all before it, until a stream is made. The next chunk
   * releases all.
   */
  #exceed(chunk: Buffer): void {
    this.#kept.push(chunk)
    this.#keptBytes = this.#maxBytes + 1
    this.#source.pause()
    this.#gathered(false)
  }
}

export class Bodies {
  readonly #maxBytes: number
  readonly #budget: BodyBudget
  /** Bodies of requests under way: one that was held for another leader may end here. */
  readonly #bodies = new WeakMap<Client, ReplayableBody>()

  /** Keeps `maxBytes` of one body to be sent again, and `limitBytes` of all together. */
  constructor(maxBytes: number, limitBytes: number) {
    this.#maxBytes = maxBytes
    this.#budget = new BodyBudget(limitBytes)
  }

  get keptBytes(): number {
    return this.#budget.usedBytes
  }

  /**
   * Undefined when the request has no body; the same object for one client each time. What is kept
   * is released when the client's answer is over.
   */
  of(client: Client): ReplayableBody | undefined {
    if (!client.hasBody) return undefined
    const known = this.#bodies.get(client)
    if (known) return known
    const body = new ReplayableBody(client.request, this.#maxBytes, this.#budget)
    this.#bodies.set(client, body)
    client.response.once('close', () => body.release())
    return body
  }
}
