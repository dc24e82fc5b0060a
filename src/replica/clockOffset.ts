/**
 * Offset of the leader's clock, measured by pings. The sample with the shortest round trip of the
 * last 16 decides.
 */
const MAX_SAMPLES = 16

interface Sample {
  readonly roundTripMs: number
  readonly offsetMs: number
  readonly mostAheadMs: number
}

export class ClockOffset {
  readonly #samples: Sample[] = []
  #isOfEarlier = false

  /**
   * Another process may answer on the new connection. Earlier samples count until the first one of
   * this connection.
   */
  onConnected(): void {
    this.#isOfEarlier = true
  }

  /** `leaderMs` was read between `sentMs` and `receivedMs` of this node's clock. */
  add(sentMs: number, leaderMs: number, receivedMs: number): void {
    if (this.#isOfEarlier) this.#samples.length = 0
    this.#isOfEarlier = false
    this.#samples.push({
      roundTripMs: receivedMs - sentMs,
      offsetMs: leaderMs - (sentMs + receivedMs) / 2,
      mostAheadMs: leaderMs - sentMs,
    })
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift()
  }

  /**
   * The most that the leader's clock can be ahead of this node's, ms: the leader read it after the
   * ping was sent. Unlike the offset it errs on one side only, also where the two ways take
   * different times. Undefined before the first sample of this connection.
   */
  get mostAheadMs(): number | undefined {
    if (this.#isOfEarlier || this.#samples.length === 0) return undefined
    let least = Number.POSITIVE_INFINITY
    for (const { mostAheadMs } of this.#samples) least = Math.min(least, mostAheadMs)
    return least
  }

  /**
   * Leader's clock minus this node's; 0 before the first ping. A sample is wrong by up to half its
   * round trip. If the best sample allows that the clocks agree, the offset is 0.
   */
  get offsetMs(): number {
    let best = this.#samples[0]
    for (const sample of this.#samples) if (sample.roundTripMs < best.roundTripMs) best = sample
    if (!best || Math.abs(best.offsetMs) <= best.roundTripMs / 2) return 0
    return best.offsetMs
  }
}
