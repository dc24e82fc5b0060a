/** Puts a simulated world in place of everything that the source has from its platform. */
import { EventEmitter } from 'node:events'
import { replaceFiles } from '../../src/platform/files.ts'
import { type ProcessSource, replaceProcesses } from '../../src/platform/processes.ts'
import { replaceRandom } from '../../src/platform/random.ts'
import { replaceWebSocket } from '../../src/platform/sockets.ts'
import { replaceTime } from '../../src/platform/time.ts'
import type { MemoryFiles } from './memoryFiles.ts'
import { MemorySocket } from './memorySocket.ts'
import { type Machine, MemoryWorker } from './memoryWorker.ts'
import type { Host, Network } from './network.ts'
import type { SeededRandom } from './seededRandom.ts'

/** Until a child process has failed to start. */
const CHILD_MS = 20

export interface ReplacedPlatform extends Machine {
  readonly random: SeededRandom
  readonly files: MemoryFiles
  readonly network: Network
}

/** For the whole thread, until the function that it gives is called. */
export function replacePlatform(world: ReplacedPlatform): () => void {
  const { scheduler, random, files, network } = world
  class DialledSocket extends MemorySocket {
    constructor(url: string, _protocols: unknown, { handshakeTimeout = 0 } = {}) {
      // Only nodes connect to nodes.
      super(network, scheduler.owner as Host, true)
      network.dial(this, url, handshakeTimeout)
    }
  }
  class MachineWorker extends MemoryWorker {
    constructor() {
      super(world)
    }
  }
  // There are no child processes: rows that are kept aside stay to be compared.
  const spawn = () => {
    const stream = { on() {}, setEncoding() {}, write() {} }
    const pipes = { stdin: stream, stdout: stream, stderr: stream }
    const child = Object.assign(new EventEmitter(), { ...pipes, kill() {} })
    scheduler.after(CHILD_MS, () => {
      child.emit('error', new Error('no such program'))
      child.emit('close', null, null)
    })
    return child
  }
  const restorers = [
    replaceTime(scheduler),
    replaceRandom(random),
    replaceFiles(files.source),
    // The source uses no more of them than they have.
    replaceProcesses({ Worker: MachineWorker, spawn } as unknown as ProcessSource),
    // The source uses no more of it than it has.
    replaceWebSocket(DialledSocket as unknown as Parameters<typeof replaceWebSocket>[0]),
  ]
  return () => {
    for (const restore of restorers) restore()
  }
}
