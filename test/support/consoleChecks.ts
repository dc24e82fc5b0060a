/**
 * What holds for every screen of the console, whatever it shows: rules of accessibility, and that
 * it fits the window. The screens are those of the page's own menu, so a new one is covered too.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** Looks at a page that does not fit, a few frames apart. */
const MAX_LOOKS = 40
const FRAMES = 'new Promise((resolve) => setTimeout(() => requestAnimationFrame(resolve), 50))'
const GRAVE: readonly unknown[] = ['serious', 'critical']
const THEMES = ['light', 'dark'] as const
type Theme = (typeof THEMES)[number]

interface Violation {
  readonly id: string
  readonly impact: string | null
  readonly help: string
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[]
}

export interface MenuEntry {
  readonly id: string
  readonly title: string
}

/** A window, as wide as CSS sees it. `scale`: pixels of the screen to one of CSS. */
export interface Window {
  readonly name: string
  readonly width: number
  readonly height: number
  readonly scale: number
}

export const PHONE: Window = { name: 'phone', width: 320, height: 640, scale: 2 }

/** A narrow phone, and one usual screen at three zooms. */
export const WINDOWS: readonly Window[] = [
  PHONE,
  { name: '200 %', width: 720, height: 450, scale: 2 },
  { name: '100 %', width: 1440, height: 900, scale: 1 },
  { name: '80 %', width: 1800, height: 1125, scale: 0.8 },
]

/** The screens that the menu of this page offers, in its order. */
export async function menuOf(page: Page): Promise<MenuEntry[]> {
  await page.locator('.menu a').first().waitFor()
  return page.evaluate<MenuEntry[]>(
    `[...document.querySelectorAll('.menu a')].map((each) => ({
      id: each.getAttribute('href').replace('#/', ''), title: each.textContent,
    }))`,
  )
}

/** Goes to a screen as its address says, without loading the page again. */
export async function goTo(page: Page, { id, title }: MenuEntry): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(`#/${id}`)}`)
  await page.getByRole('main').getByRole('heading', { level: 1, name: title }).waitFor()
}

/**
 * Serious findings of axe-core within `part`. The page's policy allows no foreign script: the
 * browser is told to evaluate it, as its own console does.
 */
export async function inaccessible(
  page: Page,
  what: string,
  part = 'html',
  themes: readonly Theme[] = THEMES,
): Promise<string[]> {
  if (!(await page.evaluate<boolean>('"axe" in window'))) await page.evaluate(AXE)
  const found: string[] = []
  for (const colorScheme of themes) {
    await page.emulateMedia({ colorScheme })
    // All but the colours are the same in both.
    const only = colorScheme === 'dark' ? { runOnly: ['color-contrast'] } : {}
    const options = JSON.stringify({ ...only, resultTypes: ['violations'] })
    const { violations } = await page.evaluate<{ violations: Violation[] }>(
      `axe.run('${part}', ${options})`,
    )
    const grave = violations.filter(({ impact }) => GRAVE.includes(impact)).map(violationText)
    found.push(...grave.map((text) => `${what}, ${colorScheme}: ${text}`))
  }
  await page.emulateMedia({ colorScheme: 'light' })
  return found
}

function violationText({ id, help, nodes }: Violation): string {
  const places = nodes.map(({ html, failureSummary }) => `  ${html}\n  ${failureSummary}`)
  return [`${id}: ${help}`, ...places].join('\n')
}

/** What is wider than its window or cut off, in each of these windows. */
export async function misfits(
  page: Page,
  what: string,
  windows: readonly Window[] = WINDOWS,
): Promise<string[]> {
  const found: string[] = []
  const session = await page.context().newCDPSession(page)
  for (const { name, width, height, scale } of windows) {
    const metrics = { width, height, deviceScaleFactor: scale, mobile: false }
    await session.send('Emulation.setDeviceMetricsOverride', metrics)
    const texts = await cutOff(page)
    found.push(...texts.map((text) => `${what}, ${name}: ${text}`))
  }
  await session.send('Emulation.clearDeviceMetricsOverride')
  await session.detach()
  return found
}

/** Charts and drawings take a new width some frames after the rest. */
async function cutOff(page: Page): Promise<string[]> {
  for (let looks = 1; ; looks++) {
    const texts = await page.evaluate<string[]>(CUT_OFF)
    if (texts.length === 0 || looks === MAX_LOOKS) return texts
    await page.evaluate(FRAMES)
  }
}

/**
 * Elements that reach out of the window, but for those in what scrolls by itself; and texts that
 * their element does not show whole.
 */
const CUT_OFF = `(() => {
  const root = document.documentElement
  const found = root.scrollWidth > root.clientWidth ? ['the page scrolls sideways'] : []
  const scrolls = (each) => ['auto', 'scroll'].includes(getComputedStyle(each).overflowX)
  const isInScroller = (each) => {
    for (let at = each.parentElement; at && at !== document.body; at = at.parentElement)
      if (scrolls(at)) return true
    return false
  }
  const name = ({ tagName, className, textContent }) =>
    tagName + '.' + className + ': ' + textContent.slice(0, 60)
  for (const each of document.body.querySelectorAll('*')) {
    const { left, right, width } = each.getBoundingClientRect()
    if (width < 2 || each.matches('.hidden-label, .skip')) continue
    if ((right > root.clientWidth + 1 || left < -1) && !isInScroller(each))
      found.push('out of the window: ' + name(each))
    const hides = getComputedStyle(each).overflowX === 'hidden'
    if (hides && each.scrollWidth > each.clientWidth + 1) found.push('cut off: ' + name(each))
  }
  return found.slice(0, 5)
})()`
