/**
 * Several replicas in one process, as applications embed one: each has a database file and a port
 * of its own. Says `ready` when every copy is whole, and closes them when it is asked to end. Ends
 * with the reason on standard error when one cannot go on.
 */
import { join } from 'node:path'
import { openReplica, type WalcastNode } from '../../src/embed/library.ts'
import { EventLog, SEEN_WIDTH } from '../eventLog.ts'
import { Flags } from './program.ts'

/**
 * `listen` and `leaders` are as many addresses, separated by commas, as there are replicas;
 * `capacity` bounds the positions that each notes.
 */
const flags = new Flags(['folder', 'listen', 'leaders', 'ready-ms', 'capacity'])
const listens = flags.text('listen').split(',')
const leaders = flags.text('leaders').split(',')
const nodes: WalcastNode[] = []
const logs: EventLog[] = []
const pathOf = (index: number) => join(flags.text('folder'), `${index + 1}.db`)

function fail(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`, () => process.exit(1))
}

/** [txid, when it was applied], for every position from now on. */
function notePositions(node: WalcastNode): void {
  const capacity = flags.number('capacity')
  const log = new EventLog(SEEN_WIDTH, capacity)
  logs.push(log)
  node.on('position', ({ txid }) => {
    if (log.rows < capacity) log.add(BigInt(txid), process.hrtime.bigint())
  })
}

async function close(): Promise<void> {
  for (const [i, log] of logs.entries()) log.save(`${pathOf(i)}.seen`)
  await Promise.all(nodes.map((node) => node.close()))
  process.exit(0)
}

process.once('SIGTERM', () => void close().catch(fail))
// The bench is gone.
process.stdin.once('end', () => void close().catch(fail)).resume()

try {
  for (const [i, listen] of listens.entries()) {
    const node = await openReplica({ db: pathOf(i), listen, leader: leaders[i] })
    node.once('failed', fail)
    notePositions(node)
    nodes.push(node)
  }
  for (const node of nodes) await node.ready({ timeoutMs: flags.number('ready-ms') })
  process.stdout.write('ready\n')
} catch (error) {
  fail(error)
}
