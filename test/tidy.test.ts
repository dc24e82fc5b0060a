/** Rules of the repository that no compiler checks. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const ARCHITECTURE = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8')
/**
 * Highest first; a folder imports only those of lower floors. Folders of one floor do not import
 * each other.
 */
const FLOORS = [...ARCHITECTURE.matchAll(/^\| \d+ \| ([^|]+) \|/gm)].map(([, cell]) =>
  [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => (name === 'proto' ? name : `src/${name}`)),
)
/** Files directly in src, below everything. */
const FOUNDATION = 'src'
const MAX_LINES = 300
/** A suite of the bench carries its method and its columns. */
const MAX_BENCH_LINES = 460
/** Tables: readers look things up in them and do not read them through. */
const TABLES: ReadonlySet<string> = new Set(['src/errorCatalogue.ts'])
const VAGUE = new RegExp(
  '(^|[^a-z])(utils?|helpers?|common|misc|manager)([^a-z]|$)|' +
    '(Utils?|Helpers?|Common|Misc|Manager)([A-Z.]|$)',
)

interface SourceFile {
  /** From the root of the repository. */
  readonly path: string
  readonly text: string
  readonly tree: ts.SourceFile
}

function read(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), 'utf8')
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true) }
}

function sources(folder: string): SourceFile[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => read(`${folder}/${name}`))
}

const FILES = [...sources('src'), ...sources('proto')]
const TESTS = sources('test')
/** Without bench/peers, which holds packages of peers. */
const BENCH = readdirSync(join(ROOT, 'bench'), { withFileTypes: true })
  .filter((entry) => entry.name !== 'peers')
  .flatMap(({ name }) => (name.endsWith('.ts') ? [read(`bench/${name}`)] : []))
  .concat(
    ...['clients', 'programs', 'report', 'suites', 'systems'].map((name) =>
      sources(`bench/${name}`),
    ),
  )

const EXAMPLES = sources('examples')

/** Undefined for a file directly in src. */
function floorOf(path: string): number | undefined {
  const floor = FLOORS.findIndex((folders) =>
    folders.some((folder) => path.startsWith(`${folder}/`)),
  )
  if (floor >= 0) return floor
  assert.equal(dirname(path), FOUNDATION, `${path} is in no known folder`)
  return undefined
}

function topOf(path: string): string {
  return path.split('/').slice(0, 2).join('/')
}

function mayImport(from: string, to: string): boolean {
  const [above, below] = [floorOf(from), floorOf(to)]
  if (from.startsWith('proto/')) return to.startsWith('proto/') || below === undefined
  if (below === undefined) return true
  if (above === undefined) return false
  return above < below || (above === below && topOf(from) === topOf(to))
}

function everyNode(file: SourceFile, look: (node: ts.Node) => void): void {
  const visit = (node: ts.Node): void => {
    look(node)
    ts.forEachChild(node, visit)
  }
  visit(file.tree)
}

function lineOf(file: SourceFile, node: ts.Node): string {
  return `${file.path}:${file.tree.getLineAndCharacterOfPosition(node.getStart()).line + 1}`
}

/** What a file imports, exports from or loads, as written. */
function importsOf(file: SourceFile): { readonly specifier: string; readonly place: string }[] {
  const found: { specifier: string; place: string }[] = []
  everyNode(file, (node) => {
    const specifier =
      ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
        ? node.moduleSpecifier
        : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
          ? node.arguments[0]
          : undefined
    if (specifier && ts.isStringLiteral(specifier))
      found.push({ specifier: specifier.text, place: lineOf(file, node) })
  })
  return found
}

function violations(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) =>
    importsOf(file)
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map(({ specifier, place }) => ({
        place,
        target: normalize(join(dirname(file.path), specifier)),
      }))
      .filter(({ target }) => !mayImport(file.path, target))
      .map(({ place, target }) => `${place} imports ${target}`),
  )
}

/** A made-up file, to show that a rule can fail. */
function made(path: string, text: string): SourceFile {
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true) }
}

test('imports point downwards only', () => {
  assert.ok(FILES.length > 40)
  assert.deepEqual(violations(FILES), [])
})

test('the rule for imports can fail', () => {
  for (const [path, text] of [
    ['src/leader/a.ts', "import { b } from '../proxy/b.ts'"],
    ['src/leader/a.ts', "import { b } from '../replica/b.ts'"],
    ['src/leader/a.ts', "export * from '../node/b.ts'"],
    ['src/leader/a.ts', "const b = await import('../cli/b.ts')"],
    ['src/sqlite/a.ts', "import type { B } from '../../proto/messages.ts'"],
    ['proto/a.ts', "import { b } from '../src/sqlite/b.ts'"],
    ['src/errors.ts', "import { b } from './sqlite/b.ts'"],
    ['src/errors.ts', "import { b } from '../proto/b.ts'"],
  ])
    assert.equal(violations([made(path, text)]).length, 1, text)
  for (const [path, text] of [
    ['src/leader/a.ts', "import { b } from '../feed/b.ts'"],
    ['src/replica/a.ts', "import { b } from './copy/b.ts'"],
    ['src/replica/copy/a.ts', "import { b } from '../b.ts'"],
    ['src/leader/a.ts', "import { b } from '../../proto/codec.ts'"],
    ['proto/a.ts', "import { b } from '../src/errors.ts'"],
    ['src/cli/a.ts', "import { b } from '../../proto/codec.ts'"],
    ['src/platform/clock.ts', "import { b } from './errors.ts'"],
  ])
    assert.deepEqual(violations([made(path, text)]), [], text)
})

/** Functions of Node that change nothing and wait for nothing. */
const PURE_NAMES = /^(STATUS_CODES|isIP|BlockList|SocketAddress|isMainThread|errors)$/
const PLATFORM_MODULES = new Set([
  ...['node:fs', 'node:fs/promises', 'node:child_process', 'node:worker_threads'],
  ...['node:net', 'node:http', 'node:https', 'node:tls', 'node:dgram', 'ws', 'undici'],
  ...['node:timers', 'node:timers/promises'],
])
const PLATFORM_GLOBALS = new Set([
  ...['setTimeout', 'setInterval', 'setImmediate', 'fetch', 'WebSocket'],
  ...['clearTimeout', 'clearInterval', 'clearImmediate'],
])
const PLATFORM_MEMBERS = new Set([
  ...['Math.random', 'Date.now', 'performance.now', 'performance.timeOrigin'],
  ...['process.hrtime', 'AbortSignal.timeout'],
])
const RANDOM_NAMES = /^(random\w+|getRandomValues|webcrypto)$/

/** What a file takes from Node or a library that a simulation replaces. */
function originals(files: readonly SourceFile[]): string[] {
  const found: string[] = []
  for (const file of files)
    everyNode(file, (node) => {
      const name = originalAt(node)
      if (name) found.push(`${lineOf(file, node)} uses ${name}`)
    })
  return found
}

function originalAt(node: ts.Node): string | undefined {
  if (ts.isImportSpecifier(node)) return importedOriginal(node)
  if (ts.isPropertyAccessExpression(node)) {
    const name = `${node.expression.getText()}.${node.name.text}`
    return PLATFORM_MEMBERS.has(name) ? name : undefined
  }
  if (ts.isNewExpression(node) && node.expression.getText() === 'Date' && !node.arguments?.length)
    return 'new Date()'
  const isCalled = ts.isCallExpression(node) || ts.isNewExpression(node)
  const name = isCalled ? node.expression.getText() : ''
  if (!PLATFORM_GLOBALS.has(name)) return undefined
  // Two of them share a name with an export of `platform/sockets.ts`.
  return node.getSourceFile().text.includes("/platform/sockets.ts'") ? undefined : name
}

function importedOriginal(node: ts.ImportSpecifier): string | undefined {
  const declaration = node.parent.parent.parent
  if (!ts.isImportDeclaration(declaration) || !ts.isStringLiteral(declaration.moduleSpecifier))
    return undefined
  if (node.isTypeOnly || declaration.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword)
    return undefined
  const name = (node.propertyName ?? node.name).text
  const module = declaration.moduleSpecifier.text
  const isOriginal =
    module === 'node:crypto'
      ? RANDOM_NAMES.test(name)
      : PLATFORM_MODULES.has(module) && !PURE_NAMES.test(name)
  return isOriginal ? `${name} of ${module}` : undefined
}

/**
 * `src/version.ts` is below all floors, and reads what was installed. The page of the console runs
 * in a browser, whose originals it has from one file.
 */
const MAY_USE_ORIGINALS = /^src\/(platform\/|version\.ts$|console\/page\/browser\.ts$)/

test('time, randomness, files, sockets and processes come from src/platform', () => {
  const others = FILES.filter(
    ({ path }) => path.startsWith('src/') && !MAY_USE_ORIGINALS.test(path),
  )
  assert.deepEqual(originals(others), [])
  for (const text of [
    'setTimeout(() => {}, 1)',
    'const at = new Date()',
    'const at = Date.now()',
    'const at = performance.now()',
    'const limit = AbortSignal.timeout(1)',
    'const [a] = [Math.random]',
    "import { readSync } from 'node:fs'",
    "import { setTimeout as delay } from 'node:timers/promises'",
    "import { randomBytes } from 'node:crypto'",
    "import { WebSocket } from 'ws'",
    'void fetch(url)',
  ])
    assert.equal(originals([made('src/leader/a.ts', text)]).length, 1, text)
  for (const text of [
    'socket.setTimeout(1)',
    'const at = new Date(nowMs())',
    "import type { Stats } from 'node:fs'",
    "import { type Socket, isIP } from 'node:net'",
    "import { createHash } from 'node:crypto'",
  ])
    assert.deepEqual(originals([made('src/leader/a.ts', text)]), [], text)
})

/** Files that import each other in a circle, one of each circle. */
function circles(files: readonly SourceFile[]): string[] {
  const targets = new Map(
    files.map((file) => [
      file.path,
      importsOf(file)
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier }) => normalize(join(dirname(file.path), specifier))),
    ]),
  )
  const found: string[] = []
  const done = new Set<string>()
  const walk = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) found.push([...way.slice(way.indexOf(path)), path].join(' > '))
    if (done.has(path)) return
    done.add(path)
    for (const target of targets.get(path) ?? []) walk(target, [...way, path])
  }
  for (const { path } of files) walk(path, [])
  return found
}

test('no circle of imports', () => {
  assert.deepEqual(circles(FILES), [])
  const made1 = made('src/leader/a.ts', "import { b } from './b.ts'")
  assert.equal(
    circles([made1, made('src/leader/b.ts', "import type { A } from './a.ts'")]).length,
    1,
  )
  assert.deepEqual(circles([made1, made('src/leader/b.ts', '')]), [])
})

test('the table of floors matches the tree and the drawing', () => {
  const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && sources(`src/${entry.name}`).length > 0)
    .map(({ name }) => `src/${name}`)
  assert.deepEqual(FLOORS.flat().sort(), ['proto', ...folders].sort())
  const named = FLOORS.map((floor) => floor.map((folder) => folder.replace('src/', '')))
  const arrows = named
    .slice(1)
    .flatMap((floor, i) =>
      named[i].flatMap((above) => floor.map((below) => `  ${above} --> ${below}`)),
    )
  const drawn = /```mermaid\nflowchart TB\n([^`]*)\n```/.exec(ARCHITECTURE)?.[1]
  assert.deepEqual(drawn?.split('\n'), arrows)
})

test('every file named in a walk exists', () => {
  const walks = ARCHITECTURE.slice(ARCHITECTURE.indexOf('## Walks'))
  const named = [...walks.matchAll(/`([\w/]+\.ts)`/g)].map(([, path]) => `src/${path}`)
  assert.ok(named.length > 20)
  const paths = new Set(FILES.map(({ path }) => path))
  assert.deepEqual(
    named.filter((path) => !paths.has(path)),
    [],
  )
})

test('imports name the file ending, and src imports no test', () => {
  for (const file of [...FILES, ...TESTS, ...BENCH, ...EXAMPLES]) {
    for (const { specifier, place } of importsOf(file)) {
      if (!specifier.startsWith('.')) continue
      assert.match(specifier, /\.ts$/, place)
      if (file.path.startsWith('bench/')) assert.doesNotMatch(specifier, /(^|\/)test\//, place)
      // An example imports the package by its name, as an application would.
      else if (file.path.startsWith('examples/'))
        assert.doesNotMatch(specifier, /(^|\/)(src|proto|test|bench)\//, place)
      else if (!file.path.startsWith('test/'))
        assert.doesNotMatch(specifier, /(^|\/)(test|bench)\//, place)
    }
  }
})

test('no file has a vague name', () => {
  for (const { path } of [...FILES, ...TESTS, ...BENCH, ...EXAMPLES])
    assert.doesNotMatch(path, VAGUE, path)
  for (const name of [
    'src/utils.ts',
    'src/proxy/helper.ts',
    'src/common/a.ts',
    'src/node/stateManager.ts',
    'src/stringUtils.ts',
  ])
    assert.match(name, VAGUE)
  for (const name of ['src/feed/batchHistory.ts', 'src/node/command.ts', 'src/communicate.ts'])
    assert.doesNotMatch(name, VAGUE)
})

function maxLinesOf(path: string): number {
  return path.startsWith('bench/') ? MAX_BENCH_LINES : MAX_LINES
}

test('no source file is too long', () => {
  const long = [...FILES, ...BENCH, ...EXAMPLES]
    .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    .filter(({ path, lines }) => lines > maxLinesOf(path) && !TABLES.has(path))
  assert.deepEqual(long, [])
})

/** Places in a file that break a rule of the code. */
function breaches(file: SourceFile): string[] {
  const found: string[] = []
  const mayTalk = /^(src\/cli|test|bench|examples)\//.test(file.path)
  everyNode(file, (node) => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) found.push(`${lineOf(file, node)}: any`)
    if (ts.isNonNullExpression(node)) found.push(`${lineOf(file, node)}: non-null assertion`)
    if (mayTalk || !ts.isPropertyAccessExpression(node)) return
    const owner = node.expression.getText()
    if (owner === 'console' || owner === 'globalThis.console')
      found.push(`${lineOf(file, node)}: console`)
    if (owner === 'process' && node.name.text === 'exit')
      found.push(`${lineOf(file, node)}: process.exit`)
  })
  for (const [, what] of file.text.matchAll(/(@ts-ignore|@ts-expect-error|@ts-nocheck)/g))
    found.push(`${file.path}: ${what}`)
  return found
}

test('no any, no non-null assertion, no silenced compiler; only the CLI prints', () => {
  assert.deepEqual(
    [
      ...FILES,
      ...BENCH,
      ...EXAMPLES,
      ...TESTS.filter(({ path }) => path !== 'test/tidy.test.ts'),
    ].flatMap(breaches),
    [],
  )
})

test('the rules of the code can fail', () => {
  for (const text of [
    'let x: any',
    'x as any',
    'f<any>()',
    'x!.y',
    'console.log(1)',
    'process.exit(1)',
    '// @ts-ignore\nx',
  ])
    assert.equal(breaches(made('src/leader/a.ts', text)).length, 1, text)
  for (const text of ['// any console.log', "const any = 'process.exit'", 'x !== y'])
    assert.deepEqual(breaches(made('src/leader/a.ts', text)), [], text)
  assert.deepEqual(breaches(made('src/cli/a.ts', 'console.log(1); process.exit(1)')), [])
})

const MAX_COLUMNS = 100
/** Folders with code, beside the documents. */
const CODE_FOLDERS = ['src', 'proto', 'test', 'bench', 'examples', 'scripts', '.ci']
/** Packages of peers and kept results are not written by hand. */
const NOT_WRITTEN = /^(bench\/(peers|results)|node_modules|dist)(\/|$)/
/** Scripts have no ending. */
const CODE = /(^|\/)[^/.]+$|\.(ts|mjs|js|py|sh|html)$/

interface TextFile {
  readonly path: string
  readonly text: string
}

/** Every file of the repository that people read line by line. */
function textFiles(): TextFile[] {
  const top = readdirSync(ROOT).filter((name) => name.endsWith('.md'))
  const inFolders = [...CODE_FOLDERS, 'docs'].flatMap(filesIn)
  return [...top, ...inFolders]
    .filter((path) => CODE.test(path) || path.endsWith('.md'))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))
}

function filesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (NOT_WRITTEN.test(path)) return []
    return entry.isDirectory() ? filesIn(path) : entry.isFile() ? [path] : []
  })
}

/**
 * Lines over 100 characters. Code blocks, tables and URLs that fit in no line of a document may be
 * wider, and so may the figures that the bench writes into the README.
 */
function wideLines({ path, text }: TextFile): string[] {
  const isDocument = path.endsWith('.md')
  const blank = (block: string) => block.replace(/[^\n]/g, '')
  const read = isDocument
    ? text
        .replace(/^\s*(```|~~~)[\s\S]*?^\s*\1$/gm, blank)
        .replace(/<!-- bench:begin -->[\s\S]*<!-- bench:end -->/, blank)
    : text
  return read.split('\n').flatMap((line, i) => {
    const columns = [...line].length
    const hasLongUrl = line
      .split(/\s+/)
      .some((word) => /https?:\/\//.test(word) && word.length > MAX_COLUMNS)
    const mayBeWide = isDocument && (hasLongUrl || /^( {4}|\t|\s*\|)/.test(line))
    return columns <= MAX_COLUMNS || mayBeWide ? [] : [`${path}:${i + 1} has ${columns} columns`]
  })
}

test('no line of code or prose has more than 100 columns', () => {
  const files = textFiles()
  for (const path of ['README.md', 'docs/architecture.md', 'scripts/setup', 'test/tidy.test.ts'])
    assert.ok(
      files.some((file) => file.path === path),
      path,
    )
  assert.deepEqual(files.flatMap(wideLines), [])
})

test('the rule for columns can fail', () => {
  const wide = 'x'.repeat(MAX_COLUMNS + 1)
  for (const [path, text] of [
    ['src/a.ts', `// ${wide}`],
    ['src/a.ts', `const url = 'https://${wide}'`],
    ['scripts/a', `echo ${wide}`],
    ['docs/a.md', wide],
    ['docs/a.md', `- ${wide}`],
    ['docs/a.md', `\`\`\`\nx\n\`\`\`\n${wide}`],
  ])
    assert.equal(wideLines({ path, text }).length, 1, `${path}: ${text}`)
  for (const [path, text] of [
    ['src/a.ts', 'ü'.repeat(MAX_COLUMNS)],
    ['src/a.ts', '\u{1f600}'.repeat(MAX_COLUMNS)],
    ['docs/a.md', `\`\`\`\n${wide}\n\`\`\``],
    ['docs/a.md', `    ${wide}`],
    ['docs/a.md', `| ${wide} |`],
    ['docs/a.md', `see https://example.org/${wide}`],
  ])
    assert.deepEqual(wideLines({ path, text }), [], `${path}: ${text}`)
})
