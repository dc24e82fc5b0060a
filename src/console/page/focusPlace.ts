/**
 * Where the focus is, in words that still hold when that part of the page has been built anew.
 * Without it each second of a busy cluster would take the focus from whoever works by keyboard.
 */

const REACHABLE = 'a[href], button, input, select, textarea, summary, [tabindex]'

export interface FocusPlace {
  readonly tag: string
  readonly name: string
}

export function focusPlaceOf(element: Element): FocusPlace {
  return { tag: element.tagName, name: nameOf(element) }
}

/** Focuses what is at that place now, if it is still there. */
export function focusAgain(root: ParentNode, { tag, name }: FocusPlace): void {
  const all = [...root.querySelectorAll<HTMLElement>(REACHABLE)]
  const found = all.find((each) => each.tagName === tag && nameOf(each) === name)
  found?.focus({ preventScroll: true })
}

function nameOf(element: Element): string {
  return element.getAttribute('aria-label') || element.id || element.textContent || ''
}
