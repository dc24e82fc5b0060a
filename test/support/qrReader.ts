/** What a camera would read from a part of a page: its picture, decoded by another library. */
import jsqr from 'jsqr'
import type { Locator } from 'playwright-core'

interface Pixels {
  readonly width: number
  readonly height: number
  /** RGBA in base64. */
  readonly data: string
}

/** The text of the QR code in the picture of `shown`; undefined when there is none. */
export async function qrTextIn(shown: Locator): Promise<string | undefined> {
  const image = (await shown.screenshot()).toString('base64')
  const browser = shown.page().context().browser()
  if (!browser) throw new Error('the browser is gone')
  // A page without a policy decodes the picture.
  const page = await browser.newPage()
  try {
    const { data, width, height } = await page.evaluate<Pixels>(pixelsOf(image))
    const bytes = new Uint8ClampedArray(Buffer.from(data, 'base64'))
    return jsqr.default(bytes, width, height)?.data
  } finally {
    await page.close()
  }
}

function pixelsOf(image: string): string {
  return `(async () => {
    const picture = new Image()
    picture.src = 'data:image/png;base64,${image}'
    await picture.decode()
    const { width, height } = picture
    const context = new OffscreenCanvas(width, height).getContext('2d')
    context.drawImage(picture, 0, 0)
    const { data } = context.getImageData(0, 0, width, height)
    let text = ''
    for (let at = 0; at < data.length; at += 8192)
      text += String.fromCharCode(...data.subarray(at, at + 8192))
    return { width, height, data: btoa(text) }
  })()`
}
