/** A text as a QR code that a page can draw: one SVG path. Pure. */
import { encode } from 'uqr'
import type { QrDrawing } from '../api/pairing.ts'

/** Free modules around it, which readers want. */
const BORDER = 4

/** `text` is some 200 characters at most. */
export function qrDrawing(text: string): QrDrawing {
  const { data, size } = encode(text, { ecc: 'M', border: BORDER })
  return { size, path: qrPath(data) }
}

/** The dark modules: each run in a row is a rectangle. */
export function qrPath(rows: readonly (readonly boolean[])[]): string {
  return rows
    .flatMap((row, y) => runs(row).map(([x, width]) => `M${x} ${y}h${width}v1h-${width}z`))
    .join('')
}

/** Where each run of dark modules begins, and how long it is. */
function runs(row: readonly boolean[]): (readonly [number, number])[] {
  const found: (readonly [number, number])[] = []
  for (let x = 0; x < row.length; x++) {
    if (!row[x]) continue
    const end = row.indexOf(false, x)
    const width = (end < 0 ? row.length : end) - x
    found.push([x, width])
    x += width
  }
  return found
}
