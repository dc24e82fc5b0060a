/**
 * Gets the history of lag that a screen shows from its node: when another time is chosen, now and
 * then while time passes, and when the node is there again. An older answer never takes the place
 * of a newer question's.
 */
import { LAG_HISTORY_PATH, type LagHistoryAnswer, MAX_LAG_POINTS } from '../../api/lagHistory.ts'
import { type LagView, SPANS, windowOf } from './lagView.ts'
import type { Refusal } from './requests.ts'

export interface FeedParts {
  /** Throws Refusal. */
  ask(path: string): Promise<LagHistoryAnswer>
  asRefusal(error: unknown): Refusal
  /** There is an answer, or a refusal. */
  onChange(): void
}

/** The node is asked again after a refusal, ms. */
const RETRY_MS = 5000

export class LagHistoryFeed {
  readonly #parts: FeedParts
  #view: LagView | undefined
  #askedMs = 0
  #isLive = false
  #round = 0
  /** The last answer, and what was asked for. */
  answered: { readonly view: LagView; readonly answer: LagHistoryAnswer } | undefined
  refusal: Refusal | undefined

  constructor(parts: FeedParts) {
    this.#parts = parts
  }

  /** To be called about once a second. `nowMs`: the node's time; 0 before it has told it. */
  want(view: LagView, nowMs: number, isLive: boolean): void {
    const isBack = isLive && !this.#isLive
    this.#isLive = isLive
    if (nowMs === 0 || !isLive) return
    const isOther = JSON.stringify(view) !== JSON.stringify(this.#view)
    if (isOther || isBack || this.#isOld(view, nowMs)) this.#ask(view, nowMs)
  }

  /** What is still to come is of no use. */
  close(): void {
    this.#round++
  }

  #isOld({ span, zooms }: LagView, nowMs: number): boolean {
    const ageMs = nowMs - this.#askedMs
    if (this.refusal) return ageMs > RETRY_MS
    return zooms.length === 0 && ageMs > SPANS[span].askAgainMs
  }

  #ask(view: LagView, nowMs: number): void {
    const round = ++this.#round
    this.#view = view
    this.#askedMs = nowMs
    void this.#take(view, nowMs, () => round === this.#round)
  }

  async #take(view: LagView, nowMs: number, isWanted: () => boolean): Promise<void> {
    const { ask, asRefusal, onChange } = this.#parts
    const { fromMs, toMs } = windowOf(view, nowMs)
    const [from, to] = [Math.floor(fromMs), Math.ceil(toMs)]
    try {
      const answer = await ask(`${LAG_HISTORY_PATH}?from=${from}&to=${to}&points=${MAX_LAG_POINTS}`)
      if (!isWanted()) return
      this.answered = { view, answer }
      this.refusal = undefined
    } catch (error) {
      if (!isWanted()) return
      this.refusal = asRefusal(error)
    }
    onChange()
  }
}
