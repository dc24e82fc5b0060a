/**
 * A node that does not answer: a caller waits for its whole time-out, or until the peer is
 * released.
 */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { Lab } from './lab.ts'

export interface SilentPeer {
  readonly address: string
  /** Resolves at the first question. */
  readonly asked: Promise<unknown>
  /** Closes every connection without an answer. */
  letGo(): void
}

export async function silentPeer(lab: Lab): Promise<SilentPeer> {
  const sockets = new Set<Socket>()
  const letGo = () => {
    for (const socket of sockets) socket.destroy()
  }
  const server = createServer((socket) => {
    socket.on('error', () => {})
    sockets.add(socket)
  })
  const asked = once(server, 'connection')
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  lab.atEnd(() => {
    letGo()
    server.close()
  })
  const place = server.address()
  if (place === null || typeof place === 'string') throw new Error('it listens nowhere')
  return { address: `127.0.0.1:${place.port}`, asked, letGo }
}
