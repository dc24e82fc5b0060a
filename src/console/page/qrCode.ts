/** A text as a QR code, for whoever would type it otherwise. Drawn here: nobody else sees it. */
import { encode } from 'uqr'
import { svg } from './dom.ts'
import { qrPath } from './qrPath.ts'

/** Free modules around it, which readers want. */
const BORDER = 4

export function qrCode(text: string): SVGElement {
  const { data, size } = encode(text, { ecc: 'M', border: BORDER })
  const about = { class: 'qr', viewBox: `0 0 ${size} ${size}`, role: 'img' }
  return svg(
    'svg',
    { ...about, 'aria-label': 'The same as a QR code' },
    svg('rect', { width: size, height: size }),
    svg('path', { d: qrPath(data) }),
  )
}
