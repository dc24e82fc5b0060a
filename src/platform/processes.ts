/**
 * Child processes, and threads of this one. A simulation puts a worker of its own in place of the
 * system's (`replaceWorker`).
 */
import { Worker as SystemWorker } from 'node:worker_threads'

export { execFile, spawn } from 'node:child_process'
export { parentPort } from 'node:worker_threads'

export type Worker = SystemWorker
/** A live binding, as those of `files.ts` are. */
export let Worker = SystemWorker

/**
 * Puts another class in place of the system's for this whole thread, until the function that it
 * gives is called.
 */
export function replaceWorker(other: typeof SystemWorker): () => void {
  Worker = other
  return () => {
    Worker = SystemWorker
  }
}
