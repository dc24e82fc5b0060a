/** QR codes as paths: a camera reads the text that they were made of. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import jsqr from 'jsqr'
import { qrDrawing, qrPath } from '../../src/server/qrDrawing.ts'

const PIXELS = 4

test('runs of dark modules are one rectangle each', () => {
  const rows = [
    [true, true, false],
    [false, false, false],
    [true, false, true],
  ]
  assert.equal(qrPath(rows), 'M0 0h2v1h-2zM0 2h1v1h-1zM2 2h1v1h-1z')
})

/** What is read of the path, drawn in black on white. */
function textIn({ size, path }: ReturnType<typeof qrDrawing>): string | undefined {
  const side = size * PIXELS
  const bytes = new Uint8ClampedArray(side * side * 4).fill(255)
  for (const [, x, y, width] of path.matchAll(/M(\d+) (\d+)h(\d+)v1h-\d+z/g))
    for (let row = Number(y) * PIXELS; row < (Number(y) + 1) * PIXELS; row++) {
      const from = row * side + Number(x) * PIXELS
      for (let pixel = from; pixel < from + Number(width) * PIXELS; pixel++)
        bytes.fill(0, pixel * 4, pixel * 4 + 3)
    }
  return jsqr.default(bytes, side, side)?.data
}

test('a camera reads the text', () => {
  const code = '[2001:db8::1234:5678]:64999'.padEnd(180, 'aB3-')
  for (const text of ['x', `walcast join ${code} --db FILE --listen HOST:PORT`])
    assert.equal(textIn(qrDrawing(text)), text)
})
