/**
 * The catalogue of errors: every text is filled, says what to do, and agrees with what the
 * documents say of it.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import ts from 'typescript'
import { CATALOGUE } from '../src/errorCatalogue.ts'
import {
  type ErrorCode,
  isErrorCode,
  keyOf,
  messageOf,
  systemCode,
  WalcastError,
  writeError,
} from '../src/errors.ts'
import { ERRORS_PAGE, errorsPage } from './support/errorsPage.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const KEYS = Object.keys(CATALOGUE) as ErrorCode[]

function filesBelow(folder: string, ending: string): string[] {
  if (!existsSync(`${ROOT}${folder}`)) return []
  return readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`)
}

function placeholders(key: ErrorCode): string[] {
  const { what, cure } = CATALOGUE[key]
  return [...new Set([...`${what} ${cure}`.matchAll(/\{(\w+)\}/g)].map(([, name]) => name))]
}

test('error codes are unique', () => {
  const source = readFileSync(`${ROOT}src/errorCatalogue.ts`, 'utf8')
  const listed = [...source.matchAll(/^ {2}([A-Z][A-Z0-9_]*): entry\(/gm)].map(([, key]) => key)
  assert.deepEqual(listed, KEYS)
  assert.equal(new Set(KEYS.map((key) => new WalcastError(key).code)).size, KEYS.length)
  for (const key of KEYS) assert.match(key, /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/)
})

for (const key of KEYS) {
  test(`${key} says what happened and what to do, in one line`, () => {
    const { status, what, cure } = CATALOGUE[key]
    assert.ok(Number.isInteger(status) && status >= 400 && status <= 599, `status ${status}`)
    for (const text of [what, cure]) {
      assert.ok(text.length > 0 && text.length < 200)
      assert.doesNotMatch(text, /[\n.]$|^\s|\s$|;.*;.*;/)
      assert.doesNotMatch(text.replace(/\{\w+\}/g, ''), /[{}]/, 'a placeholder that is none')
    }
    const details = Object.fromEntries(placeholders(key).map((name) => [name, `<${name}>`]))
    const error = new WalcastError(key, details)
    assert.doesNotMatch(error.line, /[{}\n]/)
    for (const name of placeholders(key)) assert.ok(error.line.includes(`<${name}>`), name)
    assert.ok(error.line.startsWith(`WALCAST_${key}: `))
    assert.ok(error.line.endsWith(`; ${error.cure}`), 'the line ends with the cure')
    assert.deepEqual(
      [error.key, error.code, error.status, error.name],
      [key, `WALCAST_${key}`, status, 'WalcastError'],
    )
  })
}

/** Each `new WalcastError('KEY', { ... })` in the sources. */
interface Use {
  readonly place: string
  readonly key: string
  /** Undefined when the details are not written there as a literal. */
  readonly details: readonly string[] | undefined
}

function usesIn(path: string): Use[] {
  const text = readFileSync(`${ROOT}${path}`, 'utf8')
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true)
  const uses: Use[] = []
  const visit = (node: ts.Node): void => {
    ts.forEachChild(node, visit)
    if (!ts.isNewExpression(node) || node.expression.getText() !== 'WalcastError') return
    const [key, details] = node.arguments ?? []
    if (!key || !ts.isStringLiteral(key)) return
    const place = `${path}:${file.getLineAndCharacterOfPosition(node.pos).line + 1}`
    uses.push({ place, key: key.text, details: namesOf(details) })
  }
  visit(file)
  return uses
}

function namesOf(details: ts.Expression | undefined): string[] | undefined {
  if (!details) return []
  if (!ts.isObjectLiteralExpression(details) || details.properties.some(ts.isSpreadAssignment))
    return undefined
  return details.properties.map((property) => property.name?.getText() ?? '')
}

const USES = [...filesBelow('src', '.ts'), ...filesBelow('proto', '.ts')].flatMap(usesIn)

test('every throw fills exactly the placeholders of its error', () => {
  assert.ok(USES.length > 50)
  for (const { place, key, details } of USES) {
    assert.ok(isErrorCode(key), `${place}: ${key} is not in the catalogue`)
    if (details === undefined || details.includes('message')) continue
    // `cure` replaces what to do, as `message` replaces what happened.
    const filled = details.filter((detail) => detail !== 'cure')
    assert.deepEqual(filled.sort(), placeholders(key).sort(), `${place}: ${key}`)
  }
})

test('details fill or replace the text, and are cut', () => {
  assert.equal(
    new WalcastError('DB_MISSING', { path: '/x/a.db' }).message,
    'no database file at /x/a.db',
  )
  assert.equal(new WalcastError('USAGE', { detail: 'x'.repeat(5000) }).message.length, 500)
  assert.equal(
    new WalcastError('NOT_LEADER', { message: 'as another node put it', address: 'a' }).message,
    'as another node put it',
  )
  assert.equal(new WalcastError('DB_MISSING').message, 'no database file at {path}')
  assert.equal(
    new WalcastError('STATE_MISMATCH', { what: '{actual}', actual: 1n, expected: 2 }).message,
    'the state checksum after {actual} is 1, expected 2',
  )
  const cause = new Error('cause')
  assert.equal(new WalcastError('INTERNAL', { detail: 'x' }, cause).cause, cause)
  assert.ok(!('cause' in new WalcastError('STOPPING')))
})

test('any thrown value has a one-line text, and at most a system code', () => {
  fc.assert(
    fc.property(fc.anything(), (thrown) => {
      assert.equal(typeof systemCode(thrown), 'string')
      assert.equal(keyOf(thrown), undefined)
    }),
  )
  fc.assert(
    fc.property(fc.string(), (text) => {
      assert.doesNotMatch(messageOf(new Error(text)), /[\n\r\t]|^ | $/)
      assert.doesNotMatch(messageOf(text), /[\n\r\t]|^ | $/)
      assert.equal(
        isErrorCode(text),
        KEYS.some((key) => key === text),
      )
    }),
  )
  for (const inherited of ['toString', 'constructor', '__proto__'])
    assert.equal(isErrorCode(inherited), false)
  assert.equal(systemCode(Object.assign(new Error('x'), { code: 'ENOENT' })), 'ENOENT')
  assert.equal(keyOf(new WalcastError('STOPPING')), 'STOPPING')
})

test('a failed write is DISK_FULL or WRITE_FAILED; catalogue errors stay unchanged', () => {
  const failed = (code: string) => writeError('/x', Object.assign(new Error('why'), { code }))
  for (const code of ['ENOSPC', 'EDQUOT']) assert.equal(failed(code).key, 'DISK_FULL')
  for (const code of ['EIO', 'EROFS', 'EACCES', '']) {
    assert.equal(failed(code).key, 'WRITE_FAILED')
    assert.equal(failed(code).message, 'cannot write /x: why')
  }
  const ours = new WalcastError('STOPPING')
  assert.equal(writeError('/x', ours), ours)
})

/** Environment variables begin like codes: those named in the sources, and one for each flag. */
function environmentVariables(): Set<string> {
  const names = new Set<string>()
  for (const path of filesBelow('src', '.ts')) {
    const text = readFileSync(`${ROOT}${path}`, 'utf8')
    for (const [, name] of text.matchAll(/\bWALCAST_([A-Z0-9_]+)\b/g)) names.add(name)
    for (const [, flag] of text.matchAll(/\bflag: '([a-z0-9-]+)'/g))
      names.add(flag.replaceAll('-', '_').toUpperCase())
  }
  return names
}

const documents = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...filesBelow('docs', '.md'),
  ...filesBelow('proto', '.md'),
]

test('the documents name only existing codes and environment variables', () => {
  const variables = environmentVariables()
  for (const path of documents) {
    const text = readFileSync(`${ROOT}${path}`, 'utf8')
    for (const [, name] of text.matchAll(/\bWALCAST_([A-Z0-9_]*[A-Z0-9])\b/g))
      assert.ok(isErrorCode(name) || variables.has(name), `${path} names WALCAST_${name}`)
  }
})

test('a document that lists the codes lists them all, with their statuses', () => {
  for (const path of documents) {
    const text = readFileSync(`${ROOT}${path}`, 'utf8')
    const rows = [...text.matchAll(/^\| `WALCAST_([A-Z0-9_]+)` \| (\d{3}) \|/gm)]
    if (rows.length === 0) continue
    assert.deepEqual(rows.map(([, key]) => key).sort(), [...KEYS].sort(), path)
    for (const [, key, status] of rows)
      assert.equal(Number(status), isErrorCode(key) ? CATALOGUE[key].status : 0, `${path}: ${key}`)
  }
})

test('docs/errors.md matches the catalogue (scripts/errors)', () => {
  assert.equal(readFileSync(ERRORS_PAGE, 'utf8'), errorsPage(), 'run scripts/errors')
})

test('PROTOCOL.md lists the error keys that the wire code uses', () => {
  const text = readFileSync(`${ROOT}proto/PROTOCOL.md`, 'utf8')
  const section = text.slice(text.indexOf('## Errors and closing'))
  const listed = [...section.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, key]) => key)
  assert.ok(listed.length > 10)
  for (const key of listed) assert.ok(isErrorCode(key), key)
  const feed = ['replicaSession', 'replicaMessages', 'pageServer']
  const wire = ['proto/codec.ts', ...feed.map((name) => `src/feed/${name}.ts`)]
  for (const { place, key } of USES)
    if (wire.some((path) => place.startsWith(`${path}:`)))
      assert.ok(listed.includes(key), `${place}: ${key} is not in PROTOCOL.md`)
})
