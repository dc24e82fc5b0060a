/**
 * The processes that must end because another one has their node id. They are refused for as long
 * as they may try again.
 */

/**
 * A replica that is refused ends after 10 s; between two tries it waits for up to
 * `--reconnect-max`.
 */
const REFUSED_MS = 30_000
const MAX_REFUSED = 1024

interface Refused {
  /** Address of the process that keeps the id. */
  readonly address: string
  readonly untilMs: number
}

export class RefusedProcesses {
  /** By the random ids of the processes; the one refused first comes first. */
  readonly #refused = new Map<string, Refused>()

  refuse(instance: string, address: string, nowMs: number): void {
    this.#refused.delete(instance)
    this.#refused.set(instance, { address, untilMs: nowMs + REFUSED_MS })
    for (const [each, { untilMs }] of this.#refused) {
      if (untilMs > nowMs && this.#refused.size <= MAX_REFUSED) break
      this.#refused.delete(each)
    }
  }

  /**
   * The address of the process that keeps the id of this one; undefined when this one is not
   * refused.
   */
  holderOf(instance: string, nowMs: number): string | undefined {
    const refused = this.#refused.get(instance)
    return refused && refused.untilMs > nowMs ? refused.address : undefined
  }
}
