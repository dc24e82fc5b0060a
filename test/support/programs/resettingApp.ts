/**
 * A server that answers the first request on each connection. `afterMs` later it ends the
 * connection as the request's path says: `/reset` or `/end`. It reports how many requests it has
 * read.
 */
import { createServer } from 'node:net'
import { optionsOf, say } from './options.ts'

const { afterMs } = optionsOf<{ afterMs: number }>()
let read = 0

const server = createServer((socket) => {
  let text = ''
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    if (!text.endsWith('\r\n\r\n')) return
    read++
    const path = text.split(' ', 2)[1]
    text = ''
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${String(read).length}\r\n\r\n${read}`)
    if (path === '/reset') setTimeout(() => socket.resetAndDestroy(), afterMs)
    if (path === '/end') setTimeout(() => socket.destroy(), afterMs)
  })
})
server.listen(0, '127.0.0.1', () => say({ port: Object(server.address()).port }))
