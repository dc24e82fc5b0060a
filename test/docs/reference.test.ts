/**
 * The pages of options and metrics match the code, and no document names an option or metric that
 * does not exist.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { METRICS_PAGE, metricsPage } from '../support/metricsPage.ts'
import { OPTIONS_PAGE, optionsPage } from '../support/optionsPage.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const PAGES = [
  'README.md',
  ...readdirSync(`${ROOT}docs`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

const read = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8')

test('docs/options.md and docs/metrics.md match the code (scripts/reference)', () => {
  assert.equal(readFileSync(OPTIONS_PAGE, 'utf8'), optionsPage(), 'run scripts/reference')
  assert.equal(readFileSync(METRICS_PAGE, 'utf8'), metricsPage(), 'run scripts/reference')
})

test('every metric named in a document exists', () => {
  const known = new Set(metricsPage().match(/walcast_[a-z_]+[a-z]/g))
  // A cookie and two tables.
  const others = ['walcast_position', 'walcast_settings', 'walcast_settings_keys']
  for (const path of PAGES)
    for (const [name] of read(path).matchAll(/\bwalcast_[a-z_]+[a-z]\b/g))
      assert.ok(known.has(name) || others.includes(name), `${path} names ${name}`)
})

/** Options of other commands, and of other programs in the documents. */
const OTHER_FLAGS: ReadonlySet<string> = new Set([
  'fail',
  ...[
    'all',
    'config',
    'count',
    'deletes',
    'dry-run',
    'exit-zero',
    'expires',
    'for',
    'force',
    'frames',
    'global',
    'help',
    'json',
    'key',
    'identity',
    'limit',
    'node',
    'note',
    'now',
    'overlap',
    'points',
    'print-config',
    'reason',
    'role',
    'stage',
  ],
  ...[
    'encrypt',
    'rows',
    'seconds',
    'sql',
    'table',
    'timeout',
    'to',
    'type',
    'unix-socket',
    'updates',
  ],
  ...[
    'apply',
    'archive',
    'conflicts',
    'csv',
    'from',
    'no-tables',
    'open',
    'prove',
    'since',
    'until',
  ],
  ...['moves', 'short', 'systemd', 'unit', 'values', 'version'],
  ...['as-far-as-possible', 'at', 'cluster', 'dry-run', 'from', 'incarnation', 'position', 'txid'],
  ...[
    'every',
    'follow',
    'hold',
    'into',
    'no-integrity-check',
    'point',
    'snapshot',
    'verify',
    'without-point',
    'interval',
    'watch',
    'wide',
  ],
  ...['dir', 'make-certificates', 'nodes'],
  // Of the command line of AWS.
  ...['bucket', 'region', 'lifecycle-configuration', 'create-bucket-configuration'],
])

test('every option named in a document exists', () => {
  const known = new Set([...optionsPage().matchAll(/^\| `--([a-z-]+)/gm)].map(([, flag]) => flag))
  assert.ok(known.size > 80)
  for (const path of PAGES)
    for (const [, flag] of read(path).matchAll(/(?<![\w-])--([a-z][a-z-]*[a-z])\b/g))
      assert.ok(known.has(flag) || OTHER_FLAGS.has(flag), `${path} names --${flag}`)
})
