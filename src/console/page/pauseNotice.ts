/** Says on every screen that role changes are paused, until when and by whom. */
import { openAction } from './actionDialog.ts'
import { div, el, refill } from './dom.ts'
import { isoText } from './format.ts'
import { resumeRoles } from './pauseActions.ts'
import { refusalText } from './permission.ts'
import { GuardedButton, notice } from './pieces.ts'
import type { ConsoleState } from './state.ts'

export class PauseNotice {
  readonly element = div('paused')
  readonly #text = el('span', { role: 'status' })
  readonly #resume = new GuardedButton('Resume…', () => openAction(resumeRoles()), 'small')

  constructor() {
    this.element.append(notice('warn', this.#text, ' ', this.#resume.element))
    this.element.hidden = true
  }

  update(state: ConsoleState): void {
    const paused = state.session ? state.status?.paused : undefined
    this.element.hidden = paused === undefined
    this.#resume.update(paused && refusalText(state, 'operate'))
    refill(this.#text, paused, () => {
      if (!paused) return []
      const until = isoText(paused.until, state.nowMs)
      const why = paused.reason === '' ? '' : `: ${paused.reason}`
      return [`Role changes are paused until ${until} by ${paused.by}${why}.`]
    })
  }
}
