/**
 * Takes one TCP stream over loopback and says how many bytes came between the first and the last
 * chunk.
 */
import { createServer } from 'node:net'
import { Flags, readyThenGo, report } from './program.ts'

const flags = new Flags(['port'])
const server = createServer((socket) => {
  let bytes = 0
  let firstNs = 0n
  let lastNs = 0n
  socket.on('data', (chunk) => {
    lastNs = process.hrtime.bigint()
    if (firstNs === 0n) firstNs = lastNs
    else bytes += chunk.length
  })
  socket.on('end', () => {
    report({ bytes, elapsedMs: Number(lastNs - firstNs) / 1e6 })
    server.close()
  })
})
await new Promise<void>((resolve) => server.listen(flags.number('port'), '127.0.0.1', resolve))
await readyThenGo()
