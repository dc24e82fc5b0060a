/**
 * One server of the inventory: `server.js --db FILE --listen HOST:PORT --port N [--leader
 * HOST:PORT]`.
 */
import { parseArgs } from 'node:util'
import { type InventoryServer, type ServerOptions, startServer } from './inventoryServer.ts'

function optionsOf(args: readonly string[]): ServerOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      db: { type: 'string' },
      listen: { type: 'string', default: '127.0.0.1:8470' },
      port: { type: 'string', default: '3000' },
      leader: { type: 'string' },
      name: { type: 'string' },
      'check-every': { type: 'string', default: '2' },
      'stale-after': { type: 'string', default: '60' },
    },
  })
  const { db, listen, leader, name } = values
  if (db === undefined) throw new Error('--db FILE is missing')
  return {
    ...{ db, listen, leader, name, secret: process.env['WALCAST_SECRET'] },
    password: process.env['INVENTORY_PASSWORD'],
    port: numberOf('--port', values.port),
    checkEveryMs: 1000 * numberOf('--check-every', values['check-every']),
    staleAfterMs: 1000 * numberOf('--stale-after', values['stale-after']),
  }
}

function numberOf(flag: string, text: string): number {
  if (!/^\d{1,6}$/.test(text) || Number(text) === 0)
    throw new Error(`${flag} is not a number above 0`)
  return Number(text)
}

/** Runs until a signal, or until the node cannot go on. Returns the exit code. */
function untilTold({ node }: InventoryServer): Promise<number> {
  return new Promise((resolve) => {
    process.on('SIGTERM', () => resolve(0))
    process.on('SIGINT', () => resolve(0))
    node.once('failed', ({ line }) => {
      console.error(line)
      resolve(1)
    })
  })
}

try {
  const server = await startServer(optionsOf(process.argv.slice(2)))
  console.log(`${server.node.role} on ${server.url}`)
  process.exitCode = await untilTold(server)
  await server.stop()
} catch (error) {
  // The `line` of a WalcastError says what to do about it.
  console.error(error instanceof Error && 'line' in error ? error.line : String(error))
  process.exitCode = 1
}
