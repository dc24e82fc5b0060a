/**
 * Free ports of the loopback interface. From below the ranges out of which systems give ports to
 * outgoing connections (Linux 32768, others 49152 and up): one that was free a moment ago is then
 * not taken by a client's connection. Nor is it given to another process that asks here: it is
 * reserved by an abstract socket (unix(7)), which ends with the process.
 */
import type { ListenOptions, Server } from 'node:net'
import { random } from '../platform/random.ts'
import { createTcpServer } from '../platform/sockets.ts'

const FIRST = 18_000
const COUNT = 12_000
const MAX_TRIES = 200
let next = Math.floor(random() * COUNT)

/** A port on loopback that nobody listens on now; another one at each call. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    next = (next + 1) % COUNT
    // Taken before the wait: others may ask meanwhile.
    const port = FIRST + next
    if (await isFree(port)) return port
  }
  throw new Error('no free port')
}

/** The first of `count` ports in a row that nobody listens on now. */
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
