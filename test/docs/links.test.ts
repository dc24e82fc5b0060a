/** Links of the documents: each leads to a file, and to a heading where it names one. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

const PAGES = [
  ...['README.md', 'CHANGELOG.md', 'bench/README.md', 'proto/PROTOCOL.md'],
  ...['docs', 'examples'].flatMap((folder) =>
    readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
]

const read = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8')

/** Without what stands in code, where nothing is a link or a heading. */
function proseOf(text: string): string {
  return text.replace(/^```[\s\S]*?^```$/gm, '').replace(/^ {4}.*$/gm, '')
}

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(text: string): string[] {
  return [...proseOf(text).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** What is wrong with the links of a page. `textOf`: of a file, undefined when there is none. */
function brokenLinks(
  page: string,
  text: string,
  textOf: (path: string) => string | undefined,
): string[] {
  const links = [...proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link)
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path, anchor] = link.split('#')
      const target = path === '' ? text : textOf(normalize(join(dirname(page), path)))
      return target === undefined || (anchor !== undefined && !anchorsOf(target).includes(anchor))
    })
    .map((link) => `${page}: ${link}`)
}

function fileText(path: string): string | undefined {
  if (!existsSync(`${ROOT}${path}`)) return undefined
  return path.endsWith('.md') ? read(path) : ''
}

test('every link leads to a file, and to a heading of it where it names one', () => {
  assert.ok(PAGES.length > 15)
  assert.deepEqual(
    PAGES.flatMap((page) => brokenLinks(page, read(page), fileText)),
    [],
  )
})

test('a link that leads nowhere is found', () => {
  const texts = new Map([['docs/b.md', '# A head: `x`, "y"?\n']])
  const broken = (text: string) => brokenLinks('docs/a.md', text, (path) => texts.get(path))
  for (const text of [
    '[x](b.md)',
    '[x](../docs/b.md#a-head-x-y)',
    '# Here\n[x](#here)',
    '    [x](c.md)',
  ])
    assert.deepEqual(broken(text), [], text)
  for (const text of ['[x](c.md)', '[x](b.md#a-tail)', '# Here\n[x](#there)', '[x](docs/b.md)'])
    assert.equal(broken(text).length, 1, text)
})

test('every file of the source that a document names exists', () => {
  for (const page of PAGES.filter((path) => path !== 'CHANGELOG.md'))
    for (const [, path] of read(page).matchAll(
      /`((?:src|proto|bench|test|examples)\/[\w./-]+\.\w+)`/g,
    ))
      assert.ok(existsSync(`${ROOT}${path}`), `${page} names ${path}`)
})

test('every page of the documents is linked from another one', () => {
  const linked = new Set(
    PAGES.flatMap((page) =>
      [...read(page).matchAll(/\]\(([^)\s#]+)/g)].map(([, path]) =>
        normalize(join(dirname(page), path)),
      ),
    ),
  )
  for (const page of PAGES.filter((path) => path.startsWith('docs/')))
    assert.ok(linked.has(page), `${page} is linked from nowhere`)
})

test('every page that an error or a help text points at exists', () => {
  const sources = readdirSync(`${ROOT}src`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => read(`src/${name}`))
  const named = sources.flatMap((text) => [...text.matchAll(/\bdocs\/[\w/-]+\.md\b/g)].flat())
  assert.ok(named.length > 0)
  for (const page of named) assert.ok(existsSync(`${ROOT}${page}`), page)
})
