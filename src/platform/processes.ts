/**
 * Child processes, and threads of this one. A simulation puts its own in place of the system's
 * (`replaceProcesses`).
 */
import { spawn as systemSpawn } from 'node:child_process'
import { Worker as SystemWorker } from 'node:worker_threads'

export { parentPort } from 'node:worker_threads'

export interface ProcessSource {
  readonly spawn: typeof systemSpawn
  readonly Worker: typeof SystemWorker
}

export type Worker = SystemWorker
/** Live bindings, as those of `files.ts` are. */
export let spawn = systemSpawn
export let Worker = SystemWorker

/**
 * Puts others in place of the system's for this whole thread, until the function that it gives is
 * called.
 */
export function replaceProcesses(other: ProcessSource): () => void {
  ;({ spawn, Worker } = other)
  return () => {
    spawn = systemSpawn
    Worker = SystemWorker
  }
}
