/**
 * Puts each gzipped database that is posted to it in the place of the one before. Goes on until it
 * is stopped.
 */
import { once } from 'node:events'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { Flags, readyThenGo } from './program.ts'

const flags = new Flags(['db', 'port'])
const path = flags.text('db')
const temporary = `${path}.arriving`

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/**
 * Complete and synced before it gets the name. The WAL of the old file must not be taken for its
 * own.
 */
function publish(database: Buffer): void {
  writeFileSync(temporary, database, { flush: true })
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true })
  renameSync(temporary, path)
}

const server = createServer(async (request, response) => {
  publish(gunzipSync(await bodyOf(request)))
  response.end()
})
// Node's own 5 s would close the connection between two pushes, at the moment at which the next is
// sent.
server.keepAliveTimeout = 0
server.listen(flags.number('port'), '127.0.0.1')
await once(server, 'listening')
await readyThenGo()
