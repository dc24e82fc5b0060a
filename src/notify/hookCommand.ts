/**
 * Runs a command of the operator's by /bin/sh, for as long as it may take, with the end of its
 * output.
 */
import type { ChildProcess } from 'node:child_process'
import { messageOf } from '../errors.ts'
import { spawn } from '../platform/processes.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'

/** Of what the command printed, the last bytes. */
const OUTPUT_BYTES = 2048
/** From SIGTERM to SIGKILL. */
const KILL_AFTER_MS = 2000
/** A command that leaves a process behind may leave it with the pipes, which then do not end. */
const OUTPUT_AFTER_END_MS = 200

export interface HookRun {
  /** Exit status, or undefined when a signal ended it or it could not be run. */
  readonly code: number | undefined
  readonly signal?: string
  /** Why it was broken off, or could not be run. */
  readonly failure?: string
  /** The last bytes of both outputs, in one text. */
  readonly output: string
}

export interface HookLimits {
  readonly timeoutMs: number
  /** Breaks it off, too. */
  readonly signal: AbortSignal
}

/**
 * Never rejects. The command and what it started (its process group) get SIGTERM when it takes too
 * long, and SIGKILL soon after.
 */
export function runHookCommand(
  command: string,
  environment: NodeJS.ProcessEnv,
  { timeoutMs, signal }: HookLimits,
): Promise<HookRun> {
  return new Promise((resolve) => {
    let output = Buffer.alloc(0)
    let failure: string | undefined
    let child: ChildProcess
    try {
      // A process group of its own, so that a time limit ends all of it.
      child = spawn('/bin/sh', ['-c', command], {
        detached: true,
        env: environment,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
    } catch (error) {
      resolve({ code: undefined, failure: messageOf(error), output: '' })
      return
    }
    const take = (chunk: Buffer) => {
      output = Buffer.concat([output, chunk]).subarray(-OUTPUT_BYTES)
    }
    child.stdout?.on('data', take)
    child.stderr?.on('data', take)
    let killTimer: Timer | undefined
    const breakOff = (why: string) => {
      if (failure !== undefined) return
      failure = why
      killGroup(child, 'SIGTERM')
      killTimer = setTimer(() => killGroup(child, 'SIGKILL'), KILL_AFTER_MS)
    }
    const timer = setTimer(() => breakOff(`it took over ${timeoutMs} ms`), timeoutMs)
    const onAbort = () => breakOff('the node stops')
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    const end = (run: Omit<HookRun, 'output'>) => {
      cancelTimer(timer)
      cancelTimer(killTimer)
      if (failure !== undefined) killGroup(child, 'SIGKILL')
      signal.removeEventListener('abort', onAbort)
      child.stdout?.destroy()
      child.stderr?.destroy()
      resolve({ ...run, output: output.toString('utf8') })
    }
    child.once('error', (error) => end({ code: undefined, failure: messageOf(error) }))
    child.once('exit', (code, killedBy) => {
      const run = {
        code: code ?? undefined,
        ...(killedBy ? { signal: killedBy } : {}),
        ...(failure === undefined ? {} : { failure }),
      }
      // What it started may need its moment after SIGTERM, too.
      const late = setTimer(
        () => end(run),
        OUTPUT_AFTER_END_MS + (failure === undefined ? 0 : KILL_AFTER_MS),
      )
      child.once('close', () => {
        cancelTimer(late)
        end(run)
      })
    })
  })
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch {
    // It has ended.
  }
}
