/** A QR code, for whoever would type its text otherwise. The node has drawn it. */
import type { QrDrawing } from '../../api/pairing.ts'
import { svg } from './dom.ts'

export function qrCode({ size, path }: QrDrawing): SVGElement {
  const about = { class: 'qr', viewBox: `0 0 ${size} ${size}`, role: 'img' }
  return svg(
    'svg',
    { ...about, 'aria-label': 'The same as a QR code' },
    svg('rect', { width: size, height: size }),
    svg('path', { d: path }),
  )
}
