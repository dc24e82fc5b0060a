/**
 * The console in a real browser, one for a test file. Whatever the page says on its console as an
 * error, and each request to another origin, fails the test.
 */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import type { Lab } from './lab.ts'
import { PATIENCE_MS } from './until.ts'

const ARTIFACTS = fileURLToPath(new URL('../../../test/artifacts/', import.meta.url))
const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
const WIDE = { width: 1280, height: 900 }
const PHONE = { width: 360, height: 740 }
/** What the browser itself says of a node that is away. */
const UNREACHED = /^Failed to load resource: (net::ERR_|the server responded with a status of 401)/

export class ConsoleBrowser {
  readonly #browser: Browser
  /** What went wrong on any page. */
  readonly faults: string[] = []

  private constructor(browser: Browser) {
    this.#browser = browser
  }

  static async open(lab: Lab): Promise<ConsoleBrowser> {
    const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']
    const browser = await chromium.launch({ executablePath: CHROMIUM, args })
    lab.atEnd(() => browser.close())
    return new ConsoleBrowser(browser)
  }

  /** Pages of one context share their cookies, as tabs do. */
  async context(origin: string): Promise<BrowserContext> {
    const context = await this.#browser.newContext({ viewport: WIDE, ignoreHTTPSErrors: true })
    context.setDefaultTimeout(PATIENCE_MS)
    context.on('request', (request) => {
      const url = request.url()
      if (!url.startsWith(`${origin}/_walcast/`) && !url.startsWith('data:'))
        this.faults.push(`a request to ${url}`)
    })
    context.on('console', (message) => {
      if (message.type() === 'error' && !UNREACHED.test(message.text()))
        this.faults.push(`the page says: ${message.text()}`)
    })
    context.on('weberror', (error) => this.faults.push(String(error.error().stack)))
    return context
  }

  requireNoFaults(): void {
    assert.deepEqual(this.faults, [])
  }
}

/** Pictures in both themes, wide and on a phone, for people to look at. */
export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(ARTIFACTS, { recursive: true })
  for (const colorScheme of ['light', 'dark'] as const)
    for (const [size, viewport] of Object.entries({ wide: WIDE, phone: PHONE })) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize(viewport)
      await requireNoOverflow(page)
      const path = join(ARTIFACTS, `${name}-${colorScheme}-${size}.png`)
      await page.screenshot({ path, fullPage: size === 'phone' })
    }
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize(WIDE)
}

/** Nothing is wider than the window: wide tables scroll by themselves. */
export async function requireNoOverflow(page: Page): Promise<void> {
  const wide = await page.evaluate<boolean>(
    'document.documentElement.scrollWidth > document.documentElement.clientWidth',
  )
  assert.ok(!wide, `the page is wider than ${page.viewportSize()?.width} px`)
}

/** Opens the console of a node and logs in. */
export async function openConsole(
  context: BrowserContext,
  node: { readonly url: string },
  token: string,
): Promise<Page> {
  const page = await context.newPage()
  await page.goto(`${node.url}/_walcast/`)
  await page.getByLabel('Token').fill(token)
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Log out' }).waitFor()
  return page
}
