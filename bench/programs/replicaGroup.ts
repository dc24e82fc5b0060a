/**
 * Several replicas in one process, as applications embed one: each has a database file and a port of its own. Says `ready` when every
 * copy is whole, and closes them when it is asked to end. Ends with the reason on standard error when one cannot go on.
 */
import { join } from 'node:path'
import { openReplica, type WalcastNode } from '../../src/node/library.ts'
import { Flags } from './program.ts'

/** `listen` and `leaders` are as many addresses, separated by commas, as there are replicas. */
const flags = new Flags(['folder', 'listen', 'leaders', 'ready-ms'])
const listens = flags.text('listen').split(',')
const leaders = flags.text('leaders').split(',')
const nodes: WalcastNode[] = []

function fail(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`, () => process.exit(1))
}

async function close(): Promise<void> {
  await Promise.all(nodes.map((node) => node.close()))
  process.exit(0)
}

process.once('SIGTERM', () => void close().catch(fail))
// The bench is gone.
process.stdin.once('end', () => void close().catch(fail)).resume()

try {
  for (const [i, listen] of listens.entries()) {
    const db = join(flags.text('folder'), `${i + 1}.db`)
    const node = await openReplica({ db, listen, leader: leaders[i] })
    node.once('failed', fail)
    nodes.push(node)
  }
  for (const node of nodes) await node.ready({ timeoutMs: flags.number('ready-ms') })
  process.stdout.write('ready\n')
} catch (error) {
  fail(error)
}
