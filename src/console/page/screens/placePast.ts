/** What can be done with the moment that is picked: a restore, a download, a query. */
import { openAction } from '../actionDialog.ts'
import { div, el, on } from '../dom.ts'
import { GuardedButton, labelled, newId } from '../pieces.ts'
import { downloadOf, type PickedMoment, restoreToFile } from '../restoreActions.ts'
import { PastQueryForm } from './pastQueryForm.ts'

const MAX_NAME_CHARS = 100

export class PlacePast {
  readonly element: HTMLElement
  readonly #picked: () => PickedMoment
  readonly #name = el('input', { id: newId(), maxlength: MAX_NAME_CHARS, value: 'restored.db' })
  readonly #restore = new GuardedButton('Restore to a file…', () => this.#toFile())
  readonly #download: GuardedButton
  readonly #query: PastQueryForm
  #why: string | undefined

  constructor(picked: () => PickedMoment) {
    this.#picked = picked
    this.#download = new GuardedButton('Download…', () => openAction(downloadOf(picked())))
    this.#query = new PastQueryForm(picked)
    on(this.#name, 'input', () => this.update(this.#why))
    this.element = div(
      'stack',
      el(
        'section',
        { class: 'part' },
        el('h3', {}, 'Restore that moment'),
        div(
          'filters',
          labelled('Name of the file on the machine of this node', this.#name),
          this.#restore.element,
          this.#download.element,
        ),
      ),
      this.#query.element,
    )
  }

  /** `why`: no past may be read. */
  update(why: string | undefined): void {
    this.#why = why
    const isNamed = this.#name.value.trim() !== ''
    this.#restore.update(why ?? (isNamed ? undefined : 'Give the file a name.'))
    this.#download.update(why)
    this.#query.update(why)
  }

  /** Another moment is picked. */
  onPick(): void {
    this.#query.update(this.#why)
  }

  stop(): void {
    this.#query.stop()
  }

  #toFile(): void {
    openAction(restoreToFile(this.#picked(), this.#name.value.trim()))
  }
}
