/**
 * Elements made by name, with texts as texts: nothing that a node tells is ever read as markup.
 * Styles come from classes, since the policy of the page refuses style attributes.
 */

import { focusAgain, focusPlaceOf } from './focusPlace.ts'

export type Child = Node | string | number | false | null | undefined
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

const SVG = 'http://www.w3.org/2000/svg'
/** They would run code or be refused. */
const REFUSED = /^(on|style$)/

/** An attribute that is `true` is there without a value; `false` and undefined leave it out. */
export function el<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name)
  setAttributes(element, attributes)
  element.append(...nodesOf(children))
  return element
}

/** Of a class, or of several with a space between them. */
export function div(classes: string, ...children: readonly Child[]): HTMLElement {
  return el('div', { class: classes }, ...children)
}

export function span(classes: string, ...children: readonly Child[]): HTMLElement {
  return el('span', { class: classes }, ...children)
}

/** A choice of a `select`. */
export function option(value: string, text: string): HTMLElement {
  return el('option', { value }, text)
}

export function on<Name extends keyof HTMLElementEventMap>(
  element: HTMLElement,
  name: Name,
  then: (event: HTMLElementEventMap[Name]) => void,
): void {
  element.addEventListener(name, then)
}

export function svg(name: string, attributes: Attributes, ...children: Node[]): SVGElement {
  const element = document.createElementNS(SVG, name)
  setAttributes(element, attributes)
  element.append(...children)
  return element
}

export function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (REFUSED.test(name)) throw new Error(`${name} is no attribute of this page`)
    const text = value === true ? '' : value === false ? undefined : value
    if (text === undefined) element.removeAttribute(name)
    else if (element.getAttribute(name) !== String(text)) element.setAttribute(name, String(text))
  }
}

export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

const keys = new WeakMap<Element, string>()

/**
 * Fills an element anew, only when what it shows has changed. The focus inside stays with what has
 * the same name, and tables stay scrolled as they are. `shown`: all that `build` draws, as JSON can
 * say it.
 */
export function refill(element: Element, shown: unknown, build: () => readonly Child[]): void {
  const key = JSON.stringify(shown) ?? ''
  if (keys.get(element) === key) return
  // A button that goes while it is pressed down is never clicked: the next change will do.
  if (keys.has(element) && element.matches(':active')) return
  keys.set(element, key)
  const focused = element.contains(document.activeElement) ? document.activeElement : null
  const place = focused && focusPlaceOf(focused)
  const scrolled = scrollersIn(element).map(({ scrollLeft }) => scrollLeft)
  element.replaceChildren(...nodesOf(build()))
  for (const [i, each] of scrollersIn(element).entries())
    if (scrolled[i]) each.scrollLeft = scrolled[i]
  if (place) focusAgain(element, place)
}

function scrollersIn(element: Element): Element[] {
  return [...element.querySelectorAll('.scroll')]
}

function nodesOf(children: readonly Child[]): (Node | string)[] {
  return children.flatMap((child) => {
    if (child === false || child === null || child === undefined) return []
    return [typeof child === 'number' ? String(child) : child]
  })
}
