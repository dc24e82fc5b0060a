/** Starts the three servers of the example. The essence is in server.ts and app.ts. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runExample, type Stage } from '../example.ts'

const SERVER = fileURLToPath(new URL('./server.js', import.meta.url))
const NAMES = ['leader', 'replica-1', 'replica-2']

async function start(stage: Stage) {
  const nodePort = (index: number) => stage.port(NAMES.length + index)
  const shown = []
  for (const [index, name] of NAMES.entries()) {
    const port = stage.port(index)
    stage.processes.start(name, process.execPath, [
      '--enable-source-maps',
      SERVER,
      ...['--db', join(stage.folder(name), 'inventory.db')],
      ...['--name', name, '--port', String(port), '--listen', `127.0.0.1:${nodePort(index)}`],
      ...(index > 0 ? ['--leader', `127.0.0.1:${nodePort(0)}`] : []),
    ])
    // Readiness first: until its copy is complete, a replica gets its pages from the leader.
    await stage.processes.answers(`http://127.0.0.1:${nodePort(index)}/readyz`)
    await stage.processes.answers(`http://127.0.0.1:${port}/`)
    shown.push({ name, url: `http://127.0.0.1:${port}/` })
  }
  return shown
}

await runExample(
  {
    name: 'inventory',
    ports: 2 * NAMES.length,
    hint: 'Add a machine at a replica: the leader writes it, and the replica shows it at once.',
    start,
  },
  process.argv.slice(2),
)
