/** Runs a command of the operator's with /bin/sh, under a time limit, and keeps its last output. */
import type { ChildProcess } from 'node:child_process'
import { messageOf } from '../errors.ts'
import { spawn } from '../platform/processes.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'

/** Output kept, from its end. */
const OUTPUT_BYTES = 2048
/** Time from SIGTERM to SIGKILL. */
const KILL_AFTER_MS = 2000
/** A process that the command leaves behind may keep the pipes open. This ends the wait. */
const OUTPUT_AFTER_END_MS = 200

export interface HookRun {
  /** Exit status; undefined when a signal ended the command, or it did not start. */
  readonly code: number | undefined
  readonly signal?: string
  /** Why it was ended early, or did not start. */
  readonly failure?: string
  /** The last bytes of standard output and standard error, in one text. */
  readonly output: string
}

export interface HookLimits {
  readonly timeoutMs: number
  /** Ends the command early as well. */
  readonly signal: AbortSignal
}

/**
 * Never rejects. After the time limit the command's process group, which includes what it started,
 * gets SIGTERM, and SIGKILL soon after.
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
      // A process group of its own, so that the time limit ends everything it started.
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
      // What it started gets its time after SIGTERM, too.
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
    // The process group has ended already.
  }
}
