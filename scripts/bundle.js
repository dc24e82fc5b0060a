/**
 * Makes dist/bundle: for each program of src/programs.ts one file with all of its modules and
 * dependencies, its compiled code as V8 caches it, and a loader under the program's name.
 *
 * A node has some 600 modules. To find, compile and link them was three quarters of the processor
 * time of its start. CommonJS, since Node 20 takes a code cache for nothing else. Native packages
 * stay where they are installed.
 *
 * A code cache belongs to one version of V8: another one compiles the program as if there was
 * none. The package that is published has no cache.
 *
 * dist/testBundle has the same for nodes that tests run with file operations of their own.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { build } from 'esbuild'
import { licenses } from './licenses.js'

const OUT = 'dist/bundle'
const TEST_OUT = 'dist/testBundle'
/** How long a node runs for its code to be kept. */
const RUN_MS = 1000
const PROGRAMS = [
  'cli/main',
  'cli/demo/guard',
  'cli/demo/proof',
  'cli/demo/writer',
  'sqlite/sqliteWorker',
  'replica/diverged/keptRowsProgram',
  'replica/diverged/keptReadProgram',
  'backup/drill/drillProgram',
  'backup/dated/datedCheckProgram',
  'backup/past/pastProgram',
]
/** A module of the tests, and a program of theirs that runs a node with it. */
const TEST_MODULE = 'runNodeWith'
const TEST_NODE = 'dist/test/support/programs/nodeFailing.js'
/** What only a module of its own can say, and what a program's loader gives it instead. */
const IN_BUNDLE = [
  ['createRequire(import.meta.url)', 'require'],
  ['import.meta.url', 'programsUrl'],
  ['await loadXxhash()', 'xxhash'],
]

/**
 * What undici has beside requests, such as fetch, which also loads Node's own undici. That takes
 * longer than the rest of it, and src/platform/httpClient.ts offers none of it.
 */
const UNUSED_OF_UNDICI = /^\.\/lib\/(web|mock|interceptor|cache)\//
const UNUSED = 'module.exports = new Proxy({}, { get: () => class Unused {} })'

/**
 * Fastify's router compiles a function for each piece of a path that is shorter than this, which
 * is most of what it takes to start the private side of a node. For longer ones it searches.
 */
const LONG_PIECE = /const LONG_PREFIX_MIN_LENGTH = \d+/
const NO_COMPILED_PIECE = 'const LONG_PREFIX_MIN_LENGTH = 2'

const asBundled = {
  name: 'as bundled',
  setup(/** @type {import('esbuild').PluginBuild} */ { onLoad, onResolve }) {
    onResolve({ filter: UNUSED_OF_UNDICI }, ({ path, importer }) =>
      importer.endsWith('/undici/index.js') ? { path, namespace: 'unused' } : undefined,
    )
    onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: UNUSED }))
    onLoad({ filter: /\/find-my-way\/lib\/node\.js$/ }, ({ path }) => {
      const contents = readFileSync(path, 'utf8')
      if (!LONG_PIECE.test(contents)) throw new Error(`${path} has no ${LONG_PIECE}`)
      return { contents: contents.replace(LONG_PIECE, NO_COMPILED_PIECE), loader: 'js' }
    })
    onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
      let contents = readFileSync(path, 'utf8')
      for (const [ours, bundled] of IN_BUNDLE) contents = contents.replaceAll(ours, bundled)
      return { contents, loader: 'ts' }
    })
  },
}

/**
 * The program's own file, as an expression. Its name tells its content, as a cache must match.
 * @type {import('esbuild').BuildOptions & { readonly metafile: true }}
 */
const BUNDLED = {
  entryNames: '[dir]/[name]-[hash]',
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  external: ['better-sqlite3', 'msgpackr-extract'],
  plugins: [asBundled],
  banner: { js: '(function (require, module, exports, __filename, programsUrl, xxhash) {' },
  footer: { js: '})' },
  sourcemap: true,
  sourcesContent: false,
  metafile: true,
  logLevel: 'warning',
}
const { metafile } = await build({
  ...BUNDLED,
  entryPoints: PROGRAMS.map((program) => `src/${program}.ts`),
  outbase: 'src',
  outdir: OUT,
})
const forTests = await build({
  ...BUNDLED,
  entryPoints: [`test/support/programs/${TEST_MODULE}.ts`],
  outdir: TEST_OUT,
})

writeFileSync(join(OUT, 'package.json'), '{ "type": "commonjs" }\n')
for (const program of PROGRAMS) {
  const code = codeOf(metafile, `src/${program}.ts`)
  const programs = `${'../'.repeat(program.split('/').length - 1)}programs.js`
  writeFileSync(join(OUT, `${program}.js`), loader(basename(code), programs))
}
writeFileSync(join(OUT, 'LICENSES.txt'), licenses(metafile))
writeFileSync(join(TEST_OUT, 'package.json'), '{ "type": "commonjs" }\n')
writeFileSync(
  join(TEST_OUT, `${TEST_MODULE}.js`),
  loader(
    basename(codeOf(forTests.metafile, `test/support/programs/${TEST_MODULE}.ts`)),
    '../bundle/programs.js',
  ),
)
await cacheCode()

/**
 * @param {import('esbuild').Metafile} made
 * @param {string} source
 */
function codeOf(made, source) {
  const found = Object.entries(made.outputs).find(([, { entryPoint }]) => entryPoint === source)
  if (!found) throw new Error(`${source} has no output`)
  return found[0]
}

/**
 * What it exports is a promise of what the bundled module exports.
 * @param {string} code
 * @param {string} programs
 */
function loader(code, programs) {
  return `'use strict'
const { createHash } = require('node:crypto')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { pathToFileURL } = require('node:url')
const { Script } = require('node:vm')
const filename = join(__dirname, '${code}')
let cachedData
try {
  const cache = readFileSync(filename + '.cache')
  const code = cache.subarray(32)
  // V8 does not check it, and damaged code ends the process.
  if (createHash('sha256').update(code).digest().equals(cache.subarray(0, 32))) cachedData = code
} catch {}
const program = new Script(readFileSync(filename, 'latin1'), { filename, cachedData })
const programsUrl = pathToFileURL(join(__dirname, '${programs}')).href
module.exports = require('xxhash-wasm')().then((xxhash) => {
  const bundled = { exports: {} }
  program.runInThisContext()(
    ...[require, bundled, bundled.exports, filename, programsUrl, xxhash],
  )
  return bundled.exports
})
`
}

/**
 * Runs a leader, then another with a replica. Each process adds the code that it needs. Then a
 * leader and a replica as tests run them, where the tests are compiled.
 */
async function cacheCode() {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-bundle-'))
  try {
    const db = join(folder, 'leader.db')
    new Database(db).exec('CREATE TABLE rows (a); INSERT INTO rows VALUES (1)').close()
    const first = await startNode(asCommand, 'leader', '--db', db)
    await first.stop()
    for (const [name, command] of Object.entries({ asCommand, asTest })) {
      if (command === asTest && !existsSync(TEST_NODE)) continue
      const leader = await startNode(command, 'leader', '--db', db)
      const copy = ['--db', join(folder, `${name}.db`), '--leader', leader.address]
      const replica = await startNode(command, 'replica', ...copy)
      await replica.stop()
      await leader.stop()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function asCommand(/** @type {string[]} */ args) {
  return [join(OUT, 'cli/main.js'), ...args]
}

function asTest(/** @type {string[]} */ args) {
  return [TEST_NODE, JSON.stringify({ args })]
}

/**
 * A node, once it has run for a moment.
 * @param {(args: string[]) => string[]} command
 * @param {string[]} args
 */
async function startNode(command, ...args) {
  const address = `127.0.0.1:${await freePort()}`
  const recorded = ['--require', './scripts/recordCode.cjs']
  const node = spawn(process.execPath, [...recorded, ...command([...args, '--listen', address])], {
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  const lines = []
  for await (const line of createInterface({ input: node.stderr })) {
    lines.push(line)
    if (!line.includes('"running"')) continue
    await setTimeout(RUN_MS)
    return { address, stop: () => Promise.all([once(node, 'close'), node.kill()]) }
  }
  throw new Error(`a node does not start: ${lines.join('\n')}`)
}

/** @returns {Promise<number>} */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  server.close()
  return port
}
