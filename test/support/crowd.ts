/** Many clients at once, each from its own loopback address, that control every byte they send. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Lab } from './lab.ts'
import { telling } from './trafficLab.ts'
import { within } from './until.ts'

/** One of 65,000 addresses of this machine; the first is not 127.0.0.1. */
export function loopbackAddress(index: number): string {
  const [high, middle] = [Math.floor(index / 62_500), Math.floor(index / 250) % 250]
  return `127.${1 + high}.${middle}.${2 + (index % 250)}`
}

export class Stranger {
  readonly socket: Socket
  text = ''

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
  }

  /** Connects from `localAddress`, and reads answers unless told not to. */
  static async open(lab: Lab, port: number, localAddress: string, reads = true): Promise<Stranger> {
    const stranger = new Stranger(connect({ port, host: '127.0.0.1', localAddress }))
    const { socket } = stranger
    lab.atEnd(() => void socket.destroy())
    if (reads)
      socket.on('data', (chunk) => {
        stranger.text += chunk.toString('latin1')
      })
    await once(socket, 'connect')
    return stranger
  }

  write(text: string): this {
    this.socket.write(text, 'latin1')
    return this
  }

  get isGone(): boolean {
    return this.socket.destroyed
  }
}

/** `count` strangers, `perAddress` from each address, all of which have sent `text`. */
export async function crowd(
  lab: Lab,
  port: number,
  { count, perAddress, text, reads = true }: CrowdSpec,
): Promise<Stranger[]> {
  const strangers: Stranger[] = []
  for (let from = 0; from < count; from += 250) {
    const ids = Array.from({ length: Math.min(250, count - from) }, (_value, i) => from + i)
    const some = ids.map((i) =>
      Stranger.open(lab, port, loopbackAddress(Math.floor(i / perAddress)), reads),
    )
    strangers.push(...(await within('a crowd connects', Promise.all(some))))
    for (const stranger of strangers.slice(from)) stranger.write(text)
  }
  return strangers
}

export interface CrowdSpec {
  readonly count: number
  readonly perAddress: number
  readonly text: string
  readonly reads?: boolean
}

/** A request of whose body only the first bytes come. */
export const UNFINISHED = 'POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc'

/** A request for an answer of `bytes` bytes. */
export function wanting(bytes: number): string {
  return `GET /large HTTP/1.1\r\nHost: a\r\nX-Answer: ${telling({ bytes })}\r\n\r\n`
}

export const UPGRADE =
  'GET /live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
