import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FrameMap } from '../../src/sqlite/frameMap.ts'

test('a map holds what was set since it was cleared, whatever came before', () => {
  const generation = fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 200 })
  fc.assert(
    fc.property(fc.array(generation, { maxLength: 6 }), (generations) => {
      const map = new FrameMap()
      for (const pages of generations) {
        const model = new Map<number, number>()
        map.clear()
        pages.forEach((page, i) => {
          map.set(page, i + 1)
          model.set(page, i + 1)
        })
        for (const page of [...generations.flat(), 5001])
          assert.equal(map.get(page), model.get(page) ?? 0)
      }
    }),
  )
})

test('a generation of more pages than are listed is cleared too', () => {
  const map = new FrameMap()
  for (const pages of [65_535, 65_536, 65_537, 70_000, 3]) {
    for (let page = 1; page <= pages; page++) map.set(page, page)
    for (let page = 1; page <= pages; page++) assert.equal(map.get(page), page)
    map.clear()
    for (let page = 1; page <= 70_001; page++) assert.equal(map.get(page), 0, `page ${page}`)
    map.set(70_000, 1)
    for (let page = 1; page < 70_000; page++) assert.equal(map.get(page), 0, `page ${page}`)
    map.clear()
  }
})
