/** Answers each message of a WebSocket with a small one, until it is stopped. */
import { WebSocketServer } from 'ws'
import { Flags, readyThenGo } from './program.ts'

const ANSWER = Buffer.alloc(32)

const flags = new Flags(['port'])
const options = { host: '127.0.0.1', port: flags.number('port'), perMessageDeflate: false }
const server = new WebSocketServer(options)
await new Promise((resolve) => server.once('listening', resolve))
server.on('connection', (socket) =>
  socket.on('message', () => socket.send(ANSWER, { binary: true })),
)
await readyThenGo()
