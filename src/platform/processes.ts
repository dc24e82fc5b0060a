/**
 * Child processes, and threads of this one. A simulation puts its own in place of the system's
 * (`replaceProcesses`).
 */
import { execFile as systemExecFile } from 'node:child_process'
import { Worker as SystemWorker } from 'node:worker_threads'

export { spawn } from 'node:child_process'
export { parentPort } from 'node:worker_threads'

export interface ProcessSource {
  readonly execFile: typeof systemExecFile
  readonly Worker: typeof SystemWorker
}

export type Worker = SystemWorker
/** Live bindings, as those of `files.ts` are. */
export let execFile = systemExecFile
export let Worker = SystemWorker

/**
 * Puts others in place of the system's for this whole thread, until the function that it gives is
 * called.
 */
export function replaceProcesses(other: ProcessSource): () => void {
  ;({ execFile, Worker } = other)
  return () => {
    execFile = systemExecFile
    Worker = SystemWorker
  }
}
