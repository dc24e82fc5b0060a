/** Why a database lags or needs attention, in words. */
import type { Cause } from '../../../api/cause.ts'
import { el } from '../dom.ts'
import { sentence } from '../format.ts'
import { notice } from '../pieces.ts'

export function causeList(causes: readonly Cause[]): HTMLElement[] {
  return causes.map(({ code, text }) =>
    notice('warn', el('p', {}, sentence(text), '.'), el('p', { class: 'code' }, code)),
  )
}
