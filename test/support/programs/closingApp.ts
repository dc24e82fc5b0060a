/**
 * An application that closes each connection after `idleMs`, even if a request has arrived
 * meanwhile: from `lateMs` on it reads no more. So a request always loses the race against the
 * close, is never executed, and no request is executed twice. `/!count`, asked directly, tells how
 * often it executed each request.
 */
import { createServer, type Socket } from 'node:net'
import { optionsOf, say } from './options.ts'

const { port, idleMs, lateMs, announcedSeconds } = optionsOf<{
  port: number
  idleMs: number
  lateMs: number
  /** In its Keep-Alive header, if it sends one. */
  announcedSeconds?: number
}>()
const executed: Record<string, number> = {}
const keepAlive =
  announcedSeconds === undefined ? '' : `Keep-Alive: timeout=${announcedSeconds}\r\n`

function answer(socket: Socket, target: string): void {
  if (target !== '/!count') executed[target] = (executed[target] ?? 0) + 1
  const body = target === '/!count' ? JSON.stringify(executed) : 'ok'
  socket.write(
    'HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n' +
      `${keepAlive}Content-Length: ${body.length}\r\n\r\n${body}`,
  )
}

createServer({ noDelay: true }, (socket) => {
  let text = ''
  let late: NodeJS.Timeout | undefined
  let idle: NodeJS.Timeout | undefined
  socket.on('error', () => {})
  socket.on('close', () => {
    clearTimeout(late)
    clearTimeout(idle)
  })
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    const head = text.indexOf('\r\n\r\n')
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
    if (head < 0 || text.length < head + 4 + length) return
    const target = text.split(' ', 2)[1]
    text = ''
    clearTimeout(late)
    clearTimeout(idle)
    answer(socket, target)
    late = setTimeout(() => socket.pause(), lateMs)
    idle = setTimeout(() => socket.destroy(), idleMs)
  })
}).listen(port, '127.0.0.1', () => say({ port }))
