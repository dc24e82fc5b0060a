/**
 * A server that answers the first request on each connection and then, `afterMs` later, ends the
 * connection in the way that the path of that request names: `/reset` or `/end`. It tells how many
 * requests it has read.
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
