/** Child processes, and threads of this one. */
export { execFile, spawn } from 'node:child_process'
export { parentPort, Worker } from 'node:worker_threads'
