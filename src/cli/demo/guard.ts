/**
 * Preloaded into the demo's nodes (`node --import`): a demo that is killed outright cannot stop
 * them, so they stop by themselves.
 */
import { isMainThread } from 'node:worker_threads'

if (isMainThread && process.channel) {
  process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  process.channel.unref()
}
