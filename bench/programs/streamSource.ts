/**
 * Writes to a TCP connection over loopback for some seconds, as fast as the other side takes it.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { Flags, readyThenGo, report } from './program.ts'

const flags = new Flags(['port', 'chunk-bytes', 'seconds'])
const chunk = Buffer.alloc(flags.number('chunk-bytes'), 0x61)
const socket = connect(flags.number('port'), '127.0.0.1')
await once(socket, 'connect')

await readyThenGo()
const endMs = performance.now() + flags.number('seconds') * 1000
let bytes = 0
while (performance.now() < endMs) {
  bytes += chunk.length
  if (!socket.write(chunk)) await once(socket, 'drain')
}
socket.end()
report({ bytes })
