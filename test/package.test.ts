/**
 * What is published: its entries, types and side effects, as a project meets them that installs it.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freeAddress, newDatabase } from './support/embedded.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** Only against hanging: a busy machine is slow. */
const TIMEOUT_MS = 600_000
const folder = mkdtempSync(join(tmpdir(), 'walcast-package-'))
const project = join(folder, 'project')
let tarball = ''

interface Ran {
  readonly code: number
  readonly text: string
}

async function run(file: string, args: readonly string[], cwd: string): Promise<Ran> {
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    npm_config_offline: 'true',
    npm_config_update_notifier: 'false',
  }
  delete environment['NODE_TEST_CONTEXT']
  try {
    const { stdout, stderr } = await promisify(execFile)(file, [...args], {
      cwd,
      timeout: TIMEOUT_MS,
      env: environment,
    })
    return { code: 0, text: stdout + stderr }
  } catch (error) {
    const { code, stdout, stderr } = Object(error)
    return {
      code: typeof code === 'number' ? code : 1,
      text: `${stdout ?? ''}${stderr ?? ''}` || String(error),
    }
  }
}

const tool = (name: string, args: readonly string[], cwd = ROOT) =>
  run(process.execPath, [join(ROOT, 'node_modules/.bin', name), ...args], cwd)

/**
 * What an installation of the package brings: what it and its dependencies need, and nothing for
 * development only.
 */
function installedPackages(): string[] {
  const { dependencies, peerDependencies } = manifestOf(ROOT)
  const left = [...Object.keys(dependencies), ...Object.keys(peerDependencies)]
  const found = new Set<string>()
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    const folder = join(ROOT, 'node_modules', name)
    if (found.has(name) || !existsSync(folder)) continue
    found.add(name)
    left.push(...Object.keys(manifestOf(folder).dependencies))
  }
  return [...found]
}

function manifestOf(folder: string): Record<'dependencies' | 'peerDependencies', object> {
  const none = { dependencies: {}, peerDependencies: {} }
  return { ...none, ...JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) }
}

/** A project that has the package beside the packages that it needs. */
before(async () => {
  const packed = await run(
    'npm',
    ['pack', '--ignore-scripts', '--json', '--pack-destination', folder],
    ROOT,
  )
  assert.equal(packed.code, 0, packed.text)
  tarball = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '')
  const modules = join(project, 'node_modules')
  mkdirSync(modules, { recursive: true })
  for (const name of installedPackages()) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  }
  mkdirSync(join(modules, 'walcast'))
  const unpacked = await run(
    'tar',
    ['-xzf', tarball, '-C', join(modules, 'walcast'), '--strip-components=1'],
    folder,
  )
  assert.equal(unpacked.code, 0, unpacked.text)
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'project', type: 'module', private: true }),
  )
})

after(() => rmSync(folder, { recursive: true, force: true }))

test('publint and arethetypeswrong find no problem', { timeout: TIMEOUT_MS }, async () => {
  const [lint, types] = await Promise.all([
    tool('publint', ['run', tarball, '--strict']),
    tool('attw', [tarball, '--profile', 'esm-only']),
  ])
  assert.equal(lint.code, 0, lint.text)
  assert.equal(types.code, 0, types.text)
})

const USE = `
import Database from 'better-sqlite3'
import Fastify, { type FastifyInstance } from 'fastify'
import { formatPosition, openLeader, openReplica, WalcastError } from 'walcast'
import type { Position, WalcastNode } from 'walcast'
import walcast, { walcast as named, type WalcastPluginOptions } from 'walcast/fastify'

const [path, listen] = process.argv.slice(2)
const db: Database.Database = new Database(path)
const node: WalcastNode = await openLeader({ db, listen, holdMs: 1000 })
node.on('role', (role) => role satisfies 'leader' | 'replica' | 'standby')
node.on('position', ({ epoch, txid }) => (epoch + txid) satisfies number)
node.on('failed', (error) => error.code satisfies string)
const options: WalcastPluginOptions = { node, handles: [db] }
const app: FastifyInstance = Fastify()
await app.register(walcast, options)
app.get('/', { config: { walcast: 'local' } }, async (request) => {
  const carried: Position | undefined = request.position
  const { role, position } = app.walcast
  return { role, at: formatPosition(position), carried: carried?.txid ?? null }
})
app.get('/wait', async (request) => {
  await request.server.walcast.waitFor(app.walcast.position, { timeoutMs: 100 })
  return {}
})
export const replica = () => openReplica({ db: 'b.db', leader: listen })
const { role } = (await app.inject('/')).json()
console.log(named === walcast, role, new WalcastError('STARTING').code)
await app.close()
await node.close()
db.close()
`

/** Each line is wrong, and the compiler must report it. */
const MISUSES = [
  "app.get('/', { config: { walcast: 'replica' } }, async () => ({}))",
  "app.get('/', async (request) => { request.position = undefined })",
  "app.get('/', async (request) => request.position.txid)",
  'app.walcast.roel',
  "openReplica({ db: 'a' })",
  "openLeader({ db: 'a', hodlMs: 1 })",
  'app.register(walcast, {})',
]

/** Emits files without errors too. */
function compile(files: Readonly<Record<string, string>>): Promise<Ran> {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(project, name), text)
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false']
  const target = [
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--lib',
    'es2022',
    '--types',
    'node',
  ]
  return tool('tsc', [...strict, ...target, ...Object.keys(files)], project)
}

test('a strict project compiles against its types and runs', { timeout: TIMEOUT_MS }, async () => {
  const head = USE.split('\n').filter((line) => line.startsWith('import '))
  const misuse = [...head, 'const app: FastifyInstance = Fastify()', ...MISUSES, ''].join('\n')
  const db = join(folder, 'a.db')
  newDatabase(db).close()
  const { text } = await compile({ 'use.ts': USE, 'misuse.ts': misuse })
  const places = [...text.matchAll(/^(\S+?\.ts)\((\d+),/gm)].map(([, file, line]) => ({
    file,
    line: Number(line),
  }))
  assert.deepEqual(
    places.filter(({ file }) => file !== 'misuse.ts'),
    [],
    text,
  )
  const lines = new Set(places.map(({ line }) => line))
  const missed = MISUSES.filter((_text, at) => !lines.has(head.length + 2 + at))
  assert.deepEqual(missed, [], text)
  const ran = await run(process.execPath, ['use.js', db, await freeAddress()], project)
  assert.deepEqual(ran, { code: 0, text: 'true leader WALCAST_STARTING\n' })
})

test('importing the package has no side effects', { timeout: TIMEOUT_MS }, async () => {
  const look = `
    import { readdirSync } from 'node:fs'
    const pipes = /^(PipeWrap|TTYWrap)$/
    const look = () => ({
      events: process.eventNames().map((name) => [String(name), process.listenerCount(name)]),
      resources: process.getActiveResourcesInfo().filter((name) => !pipes.test(name)),
      files: readdirSync('.'),
      globals: Object.getOwnPropertyNames(globalThis).length,
    })
    const before = look()
    const library = await import('walcast')
    const fastify = await import('walcast/fastify')
    const after = look()
    const exports = [Object.keys(library).sort(), Object.keys(fastify).sort()]
    console.log(JSON.stringify({ before, after, exports }))
  `
  writeFileSync(join(project, 'look.js'), look)
  const ran = await run(process.execPath, ['look.js'], project)
  assert.equal(ran.code, 0, ran.text)
  const { before: earlier, after: later, exports } = JSON.parse(ran.text)
  assert.deepEqual(later, earlier)
  assert.deepEqual(exports, [
    [
      'Keyring',
      'Settings',
      'WalcastError',
      'WalcastNode',
      'formatPosition',
      'keyring',
      'newKek',
      'openLeader',
      'openNode',
      'openReplica',
      'parsePosition',
      'settings',
    ],
    ['default', 'walcast'],
  ])
})

test('only entry points can be imported, and the package has no tests', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { text } = await run('tar', ['-tzf', tarball], folder)
  const names = text.trim().split('\n')
  assert.ok(names.includes('package/scripts/walcast') && names.includes('package/CHANGELOG.md'))
  assert.ok(names.includes('package/LICENSE') && names.includes('package/README.md'))
  assert.ok(names.includes('package/docs/operating/restoring.md'), 'what errors point at')
  assert.deepEqual(
    names.filter((name) => /^package\/(test|dist\/test|src|node_modules)\//.test(name)),
    [],
  )
  assert.deepEqual(
    names.filter((name) => name.endsWith('.cache')),
    [],
    'a code cache is good for one version of Node',
  )
  assert.ok(names.includes('package/dist/bundle/LICENSES.txt'), 'of what is in the bundle')
  const inner = await run(
    process.execPath,
    ['--input-type=module', '-e', "await import('walcast/dist/src/node/node.js')"],
    project,
  )
  assert.match(inner.text, /ERR_PACKAGE_PATH_NOT_EXPORTED/)
})

test('a damaged code cache is not used', { timeout: TIMEOUT_MS }, async () => {
  const [bundle, installed] = [
    join(ROOT, 'dist/bundle/cli'),
    join(project, 'node_modules/walcast/dist/bundle/cli'),
  ]
  const name = readdirSync(bundle).find((each) => each.endsWith('.cache'))
  assert.ok(name)
  assert.ok(existsSync(join(installed, name.replace('.cache', ''))), 'of the program')
  const cache = readFileSync(join(bundle, name))
  cache.fill(0, cache.length / 2)
  writeFileSync(join(installed, name), cache)
  const { code, text } = await run(process.execPath, [join(installed, 'main.js'), '--help'], folder)
  assert.equal(code, 0, text)
})
