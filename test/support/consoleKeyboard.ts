/** The console by keyboard alone: where Tab leads, and what the browser shows of the focus. */
import assert from 'node:assert/strict'
import type { Locator, Page } from 'playwright-core'

/** More stops than any screen has. */
const MAX_STOPS = 120

interface Stop {
  readonly name: string
  /** Its place in the document. */
  readonly index: number
  readonly isVisible: boolean
  readonly isOutlined: boolean
}

/**
 * Goes through the whole page by Tab, from its begin to its end. Each stop shows that it has the
 * focus, and follows the one before in the document.
 */
export async function requireTabOrder(page: Page, what: string): Promise<readonly string[]> {
  // The browser shows the focus to whoever uses keys.
  await page.keyboard.press('Tab')
  await page.evaluate('document.querySelector(".skip").focus()')
  const stops: Stop[] = []
  while (stops.length < MAX_STOPS) {
    const stop = await page.evaluate<Stop | null>(STOP)
    if (!stop || stop.index <= (stops.at(-1)?.index ?? -1)) break
    stops.push(stop)
    await page.keyboard.press('Tab')
  }
  const names = stops.map(({ name }) => name)
  assert.ok(stops.length > 3 && stops.length < MAX_STOPS, `${what}: ${names.join(', ')}`)
  for (const { name, isVisible, isOutlined } of stops)
    assert.ok(isVisible && isOutlined, `${what}: the focus on ${name} is not seen`)
  const expected = await page.evaluate<number>(REACHABLE)
  assert.equal(stops.length, expected, `${what}: Tab leads to ${names.join(', ')}`)
  return names
}

/** Presses a button as a person without a pointer does. */
export async function pressByKey(page: Page, button: Locator): Promise<void> {
  await button.focus()
  await page.keyboard.press('Enter')
}

/** The name of what has the focus; '' when nothing has it. */
export function focusedName(page: Page): Promise<string> {
  return page.evaluate<string>(
    `document.activeElement === document.body ? '' :
      document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent`,
  )
}

const STOP = `(() => {
  const at = document.activeElement
  if (!at || at === document.body) return null
  const { width, height } = at.getBoundingClientRect()
  const { outlineStyle, outlineWidth } = getComputedStyle(at)
  return {
    name: at.getAttribute('aria-label') || at.textContent.slice(0, 40) || at.id || at.tagName,
    index: [...document.querySelectorAll('*')].indexOf(at),
    isVisible: width > 1 && height > 1,
    isOutlined: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2,
  }
})()`

/** How many elements that can be seen take the focus by Tab. */
const REACHABLE = `[...document.querySelectorAll(
    'a[href], button, input, select, textarea, summary, [tabindex]')]
  .filter((each) => each.tabIndex >= 0 && !each.disabled && each.getClientRects().length > 0)
  .length`
