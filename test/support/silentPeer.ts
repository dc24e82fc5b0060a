/** A node that is asked and does not answer: what asks it waits for its whole time-out. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import type { Lab } from './lab.ts'

export interface SilentPeer {
  readonly server: Server
  /** HOST:PORT. */
  readonly address: string
}

export async function silentPeer(lab: Lab): Promise<SilentPeer> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    lab.atEnd(() => void socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  lab.atEnd(() => void server.close())
  const place = server.address()
  assert.ok(place !== null && typeof place === 'object')
  return { server, address: `127.0.0.1:${place.port}` }
}
