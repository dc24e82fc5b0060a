import { createServer } from 'node:net'

/** Below the range from which the system gives ports to outgoing connections. */
const FIRST = 18_000
const COUNT = 12_000
let next = Math.floor(Math.random() * COUNT)

/** A port on loopback that nobody listens on now. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    next = (next + 1) % COUNT
    // Taken before the wait: others may ask meanwhile.
    const port = FIRST + next
    if (await isFree(port)) return port
  }
  throw new Error('no free port')
}

/** The first of `count` ports in a row that nobody listens on now. */
export async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const first = FIRST + Math.floor(Math.random() * (COUNT - count))
    const free = await Promise.all(Array.from({ length: count }, (_, index) => isFree(first + index)))
    if (!free.includes(false)) return first
  }
  throw new Error('no free ports in a row')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
