/** The drawing of a cluster: every node has a place of its own, inside the page. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Box, clusterLayout, frameAround } from '../../../src/console/page/clusterLayout.ts'
import { cutMiddle } from '../../../src/console/page/format.ts'

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}

test('no node covers another, and none lies outside, at any width', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 0, max: 130 }),
      fc.integer({ min: 280, max: 1600 }),
      (leaders, others, width) => {
        const layout = clusterLayout(leaders, others, width)
        assert.equal(layout.boxes.length, leaders + others)
        for (const box of layout.boxes) {
          assert.ok(box.x >= 0 && box.x + box.width <= width, JSON.stringify(box))
          assert.ok(box.y >= 0 && box.y + box.height <= layout.height, JSON.stringify(box))
        }
        for (const [i, box] of layout.boxes.entries())
          for (const other of layout.boxes.slice(i + 1)) assert.ok(!overlap(box, other))
        const below = layout.boxes.slice(leaders)
        const frame = frameAround(below)
        if (below.length > 0) assert.ok(frame.x >= 0 && frame.x + frame.width <= width)
        assert.ok(below.every(({ y }) => leaders === 0 || y > 64))
      },
    ),
  )
})

test('a text is cut in the middle, to exactly the room that it has', () => {
  assert.equal(cutMiddle('node-1', 6), 'node-1')
  assert.equal(cutMiddle('node-68da2c4458a2', 11), 'node-…458a2')
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 2, max: 40 }), (text, chars) => {
      const cut = cutMiddle(text, chars)
      assert.equal(cut.length, Math.min(text.length, chars))
      assert.ok(text.length <= chars || cut.includes('…'))
    }),
  )
})
