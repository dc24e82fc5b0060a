/**
 * The one dialog in which actions are done: what it does, what the dry run answers, the command
 * that does the same, the confirmation that names the loss, and the result or the error.
 */
import type { Action, Plan, PlanLine } from './actions.ts'
import { commandText } from './commandText.ts'
import { div, el, on } from './dom.ts'
import { focusAgain, focusPlaceOf } from './focusPlace.ts'
import { icon } from './icons.ts'
import { busy, button, newId } from './pieces.ts'
import { qrCode } from './qrCode.ts'
import { refusalNotice } from './refusalNotice.ts'

export function openAction(action: Action): void {
  new ActionDialog(action).open()
}

class ActionDialog {
  readonly #action: Action
  readonly #dialog: HTMLDialogElement
  readonly #body = el('div', { class: 'dialog-body', 'aria-live': 'polite' })
  readonly #buttons = div('dialog-buttons')
  #isRunning = false

  constructor(action: Action) {
    this.#action = action
    const title = el('h2', { id: newId(), tabindex: -1 }, action.title)
    this.#dialog = el(
      'dialog',
      { 'aria-labelledby': title.id },
      title,
      el('p', {}, action.does),
      this.#body,
      this.#buttons,
    )
    // What has begun is not broken off by a key.
    on(this.#dialog, 'cancel', (event) => {
      if (this.#isRunning) event.preventDefault()
    })
    const opener = document.activeElement && focusPlaceOf(document.activeElement)
    on(this.#dialog, 'close', () => {
      this.#dialog.remove()
      // What opened it may have been built anew meanwhile.
      if (document.activeElement === document.body && opener) focusAgain(document, opener)
    })
  }

  open(): void {
    document.body.append(this.#dialog)
    this.#dialog.showModal()
    void this.#ask()
  }

  async #ask(): Promise<void> {
    this.#show([busy('Asking the node what would happen…')], [this.#closer('Cancel')])
    try {
      const plan = await this.#action.plan()
      if (this.#dialog.isConnected) this.#offer(plan)
    } catch (error) {
      this.#showError(error, () => void this.#ask())
    }
  }

  #offer(plan: Plan): void {
    const { lines, command, accepts, instead } = plan
    const body: Node[] = [lineList(lines)]
    const buttons: Node[] = [this.#closer('Cancel')]
    if (instead) buttons.push(button(`${instead.title}…`, () => this.#turnTo(instead), 'primary'))
    if (plan.button !== undefined) {
      const run = button(plan.button, () => void this.#run(plan), kindOf(plan))
      if (accepts !== undefined) body.push(consent(accepts, run))
      buttons.push(run)
    }
    if (command !== undefined)
      body.push(el('p', { class: 'label' }, 'The same on the command line'), commandText(command))
    this.#show(body, buttons)
  }

  #turnTo(action: Action): void {
    this.#dialog.close()
    openAction(action)
  }

  async #run(plan: Plan): Promise<void> {
    this.#isRunning = true
    this.#show([busy('Doing it…')], [])
    try {
      const lines = await plan.run()
      this.#show([lineList(lines)], [this.#closer('Close', 'primary')])
    } catch (error) {
      this.#showError(error, () => void this.#ask())
    } finally {
      this.#isRunning = false
    }
  }

  #showError(error: unknown, again: () => void): void {
    this.#show([refusalNotice(error)], [this.#closer('Close'), button('Ask again', again)])
  }

  #closer(text: string, kind = ''): HTMLButtonElement {
    return button(text, () => this.#dialog.close(), kind)
  }

  #show(body: readonly Node[], buttons: readonly Node[]): void {
    const hadFocus = this.#dialog.contains(document.activeElement)
    this.#body.replaceChildren(...body)
    this.#buttons.replaceChildren(...buttons)
    // Not on a button that a hasty Enter would press.
    if (hadFocus) this.#dialog.querySelector('h2')?.focus()
  }
}

function kindOf({ isDangerous }: Plan): string {
  return isDangerous ? 'danger' : 'primary'
}

function lineList(lines: readonly PlanLine[]): HTMLElement {
  return el('ul', { class: 'plan' }, ...lines.map(lineItem))
}

function lineItem({ tone, text, isTaken, qr }: PlanLine): HTMLElement {
  if (!isTaken) return el('li', { class: tone }, icon(tone), el('span', {}, text))
  return el('li', { class: 'taken' }, commandText(text), qr && qrCode(qr))
}

/** The button works once the box is ticked. */
function consent(accepts: string, run: HTMLButtonElement): HTMLElement {
  const box = el('input', { type: 'checkbox' })
  const update = () => run.setAttribute('aria-disabled', String(!box.checked))
  on(box, 'change', update)
  update()
  return el('label', { class: 'consent' }, box, el('span', {}, accepts))
}
