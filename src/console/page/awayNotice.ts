/** Says that the node does not answer, since when, and when the page tries again. */
import { nowMs } from './browser.ts'
import { div, el, setText } from './dom.ts'
import { durationText, timeText } from './format.ts'
import { button, notice } from './pieces.ts'
import type { Link } from './state.ts'

const SECOND_MS = 1000

export class AwayNotice {
  readonly element: HTMLElement
  readonly #since = el('span', { role: 'alert' })
  /** Changes each second: not to be read out. */
  readonly #next = el('span', { 'aria-hidden': 'true' })

  constructor(onRetry: () => void) {
    const retry = button('Try now', onRetry, 'small')
    this.element = div('away', notice('bad', this.#since, ' ', this.#next, ' ', retry))
    this.element.hidden = true
  }

  update(link: Link): void {
    const isAway = link.is === 'away'
    this.element.hidden = !isAway
    document.documentElement.classList.toggle('is-away', isAway)
    const now = nowMs()
    setText(
      this.#since,
      isAway ? `This node does not answer since ${timeText(link.sinceMs, now)}.` : '',
    )
    const seconds = isAway ? Math.ceil((link.nextTryMs - now) / SECOND_MS) : 0
    const when = seconds < 1 ? 'now' : `in ${durationText(seconds * SECOND_MS)}`
    setText(this.#next, isAway ? `Trying again ${when}.` : '')
  }
}
