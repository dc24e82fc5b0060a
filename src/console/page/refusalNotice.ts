/** A refusal as the page shows it: what happened, what to do, and its code. */
import { el } from './dom.ts'
import { sentence } from './format.ts'
import { busy, notice } from './pieces.ts'
import { asRefusal, type Refusal } from './requests.ts'

export function refusalNotice(error: unknown): HTMLElement {
  const { code, message, cure } = asRefusal(error)
  return notice(
    'bad',
    el('p', {}, `${sentence(message)}.`),
    cure !== '' && el('p', {}, `What to do: ${cure}.`),
    el('p', { class: 'code' }, code),
  )
}

/** What stands in for an answer until it is there: that it is asked for, or why there is none. */
export function insteadOfAnswer(refusal: Refusal | undefined): HTMLElement {
  return refusal ? refusalNotice(refusal) : busy('Asking…')
}
