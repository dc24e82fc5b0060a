/**
 * Sends messages over a WebSocket, each after the answer to the one before, at a steady rate (0: as
 * fast as answers come) after a warm-up. Logs [number, due, sent, answered].
 */
import WebSocket from 'ws'
import { dueNs } from '../arithmetic.ts'
import { EventLog, WRITTEN_WIDTH } from '../eventLog.ts'
import { Flags, readyThenGo, report, sleepUntil } from './program.ts'

const flags = new Flags([
  ...['port', 'message-bytes', 'rate', 'count'],
  ...['warmup-rate', 'warmup-count', 'log'],
])
const warmupCount = flags.number('warmup-count')
const count = flags.number('count')
const log = new EventLog(WRITTEN_WIDTH, warmupCount + count)
const message = Buffer.alloc(flags.number('message-bytes'), 0x61)
const socket = new WebSocket(`ws://127.0.0.1:${flags.number('port')}`, { perMessageDeflate: false })
await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
let answered = () => {}
socket.on('message', () => answered())

async function send(firstNumber: number, messages: number, ratePerSecond: number): Promise<void> {
  const startNs = process.hrtime.bigint()
  for (let i = 0; i < messages; i++) {
    const due = ratePerSecond > 0 ? dueNs(startNs, i, ratePerSecond) : process.hrtime.bigint()
    sleepUntil(due)
    const answer = new Promise<void>((resolve) => {
      answered = resolve
    })
    const sentNs = process.hrtime.bigint()
    socket.send(message, { binary: true })
    await answer
    log.add(BigInt(firstNumber + i), due, sentNs, process.hrtime.bigint())
  }
}

await readyThenGo()
await send(1, warmupCount, flags.number('warmup-rate'))
await send(1 + warmupCount, count, flags.number('rate'))
log.save(flags.text('log'))
report({ messages: warmupCount + count })
socket.terminate()
