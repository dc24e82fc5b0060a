/**
 * `walcast bench`: runs the benchmark harness in a process of its own, since no part of walcast may
 * depend on it.
 */
import { constants } from 'node:os'
import { messageOf, WalcastError } from '../errors.ts'
import { spawn } from '../platform/processes.ts'
import { programPath } from '../programs.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Returns the harness's exit code, or 128 + N after signal N, as shells do.
 */
export async function runBench(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [programPath('../bench/main'), ...args], {
    stdio: 'inherit',
  })
  const passOn = (signal: NodeJS.Signals) => void child.kill(signal)
  for (const signal of SIGNALS) process.on(signal, passOn)
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (error) =>
        reject(new WalcastError('INTERNAL', { detail: messageOf(error) }, error)),
      )
      child.once('exit', (code, signal) =>
        resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)),
      )
    })
  } finally {
    for (const signal of SIGNALS) process.removeListener(signal, passOn)
  }
}
