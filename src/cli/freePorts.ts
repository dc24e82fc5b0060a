/**
 * Free ports of the loopback interface. They lie below the ranges from which systems take ports for
 * outgoing connections (Linux from 32768, others from 49152), so no client's connection takes one
 * before it is used. An abstract socket (unix(7)) reserves each for this process until it ends, so
 * no other process that asks here gets it.
 */
import type { ListenOptions, Server } from 'node:net'
import { random } from '../platform/random.ts'
import { createTcpServer } from '../platform/sockets.ts'

const FIRST = 18_000
const COUNT = 12_000
const MAX_TRIES = 200
let next = Math.floor(random() * COUNT)

/** A free port; a different one at each call. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    next = (next + 1) % COUNT
    // Taken before the wait, since others may ask meanwhile.
    const port = FIRST + next
    if (await isFree(port)) return port
  }
  throw new Error('no free port')
}

/** The first of `count` free ports in a row. */
export async function freePortRow(count: number): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const first = FIRST + Math.floor(random() * (COUNT - count))
    const free = await Promise.all(
      Array.from({ length: count }, (_, index) => isFree(first + index)),
    )
    if (!free.includes(false)) return first
  }
  throw new Error('no free ports in a row')
}

async function isFree(port: number): Promise<boolean> {
  const reservation = createTcpServer()
  if (!(await listens(reservation, { path: `\0walcast-port-${port}` }))) return false
  reservation.unref()
  const server = createTcpServer()
  const isFree = await listens(server, { port, host: '127.0.0.1' })
  if (isFree) await new Promise((resolve) => server.close(resolve))
  else reservation.close()
  return isFree
}

function listens(server: Server, where: ListenOptions): Promise<boolean> {
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(where, () => resolve(true))
  })
}
