/**
 * A node that is asked and does not answer: what asks it waits for its whole time-out, or until it
 * is let go.
 */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { Lab } from './lab.ts'

export interface SilentPeer {
  readonly address: string
  /** It was asked for the first time. */
  readonly asked: Promise<unknown>
  /** Ends every question without an answer. */
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
