/** The part of the cluster screen that pauses role changes. */
import { MAX_REASON_CHARS } from '../../../api/rolePause.ts'
import { openAction } from '../actionDialog.ts'
import { div, el, option } from '../dom.ts'
import { isPauseLength, PAUSE_LENGTHS, pauseRoles } from '../pauseActions.ts'
import { refusalText } from '../permission.ts'
import { card, GuardedButton, labelled, note } from '../pieces.ts'
import type { ConsoleState } from '../state.ts'

export class PauseCard {
  readonly element: HTMLElement
  readonly #length = el('select', { id: 'pause-length' })
  readonly #reason = el('input', { id: 'pause-reason', maxlength: MAX_REASON_CHARS })
  readonly #pause = new GuardedButton('Pause role changes…', () => this.#open())

  constructor() {
    const lengths = Object.keys(PAUSE_LENGTHS)
    this.#length.append(...lengths.map((each) => option(each, each)))
    this.#length.value = '1h'
    this.element = card(
      'Role changes',
      note('While you work on a host, nobody changes which node leads.'),
      div(
        'filters',
        labelled('For', this.#length),
        labelled('Reason', this.#reason),
        this.#pause.element,
      ),
    )
  }

  update(state: ConsoleState): void {
    const why = state.isOpen ? 'An open cluster has no members to tell.' : undefined
    this.#pause.update(why ?? refusalText(state, 'operate'))
  }

  #open(): void {
    const length = this.#length.value
    if (isPauseLength(length)) openAction(pauseRoles(length, this.#reason.value.trim()))
  }
}
