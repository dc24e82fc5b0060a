/** The pictures of the documents: each is shown somewhere, is there, and is small. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const FOLDER = join(ROOT, 'docs/pictures')
const MAX_BYTES = 600_000
/** The pages that show some. */
const PAGES = ['README.md', 'docs/console.md']

/** From the root of the repository. */
function shownOn(page: string): string[] {
  const text = readFileSync(join(ROOT, page), 'utf8')
  const found = text.matchAll(/(?:src(?:set)?="|!\[[^\]]*\]\()([\w./-]+\.webp)/g)
  return [...found].map(([, path]) => join(dirname(page), path))
}

test('every picture that a document shows is there, and every one is shown', () => {
  const shown = PAGES.flatMap(shownOn)
  assert.deepEqual(
    shown.filter((path) => !existsSync(join(ROOT, path))),
    [],
  )
  const there = readdirSync(FOLDER).map((name) => `docs/pictures/${name}`)
  assert.deepEqual([...new Set(shown)].sort(), there.sort())
})

test('together they are small', () => {
  const sizes = readdirSync(FOLDER).map((name) => statSync(join(FOLDER, name)).size)
  assert.ok(sizes.length > 8)
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) < MAX_BYTES)
})
