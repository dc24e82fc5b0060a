/**
 * Preloaded into the demo's nodes (`node --import`). It stops the node when the demo is gone, since
 * a killed demo cannot stop it.
 */
import { isMainThread } from 'node:worker_threads'

if (isMainThread && process.channel) {
  process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  process.channel.unref()
}
