/**
 * Starts the nodes and applications of the example: what one would write into three pairs of
 * service files.
 */
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runExample, type Stage } from '../example.ts'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
/** Paths are relative to dist/examples/notes-python. */
const WALCAST = path('../../bundle/cli/main.js')
const APPLICATION = path('../../../examples/notes-python/app.py')
const PYTHON = process.env['PYTHON'] ?? 'python3'
const NAMES = ['leader', 'replica-1', 'replica-2']

/** A node and the application behind it. */
async function startPair({ processes, folder, port }: Stage, index: number, name: string) {
  const db = join(folder(name), 'notes.db')
  const address = (row: number) => `127.0.0.1:${port(row * NAMES.length + index)}`
  const [proxy, node, application] = [address(0), address(1), address(2)]
  const leader = `127.0.0.1:${port(NAMES.length)}`
  // A leader needs an existing file. An empty file is an empty database.
  if (index === 0) closeSync(openSync(db, 'a'))
  // The application starts first, so that it stops last: its node lets running requests end. It
  // waits until its node is up.
  const program = [
    APPLICATION,
    '--db',
    db,
    '--name',
    `app-${name}`,
    '--port',
    application.split(':')[1],
  ]
  processes.start(`app-${name}`, PYTHON, program, { WALCAST_NODE_URL: `http://${node}` })
  processes.start(name, process.execPath, [
    '--enable-source-maps',
    ...[WALCAST, index === 0 ? 'leader' : 'replica', '--db', db, '--name', name],
    ...(index === 0 ? [] : ['--leader', leader]),
    ...['--listen', node, '--proxy', proxy, '--upstream', `http://${application}`],
  ])
  await processes.answers(`http://${node}/readyz`)
  await processes.answers(`http://${application}/`)
  await processes.answers(`http://${proxy}/`)
  return { name, url: `http://${proxy}/` }
}

async function start(stage: Stage) {
  const shown = []
  for (const [index, name] of NAMES.entries()) shown.push(await startPair(stage, index, name))
  return shown
}

await runExample(
  {
    name: 'notes-python',
    ports: 3 * NAMES.length,
    hint: 'Write a note at a replica: the leader adds it, and the replica shows it at once.',
    start,
  },
  process.argv.slice(2),
)
