/**
 * What a demo needs: a temporary folder, processes and a screen. They are set up before it, and
 * removed after it, whatever happens.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf, WalcastError } from '../../errors.ts'
import { mkdtempSync, rmSync } from '../../platform/files.ts'
import { randomBytes } from '../../platform/random.ts'
import { Children } from './children.ts'
import { DemoFailure, DemoInterrupted } from './failure.ts'
import type { DemoScreen } from './screen.ts'

export interface Stage {
  readonly folder: string
  readonly children: Children
  readonly screen: DemoScreen
  /** Environment of the nodes, with the cluster's secret. */
  readonly environment: NodeJS.ProcessEnv
  /** Aborted when a process dies or the user interrupts. */
  readonly signal: AbortSignal
}

/**
 * Returns what `play` returns. Throws DEMO_FAILED, with the log lines on standard error, or
 * DemoInterrupted.
 */
export async function onStage<T>(
  screen: DemoScreen,
  keep: boolean,
  play: (stage: Stage) => Promise<T>,
): Promise<T> {
  const abort = new AbortController()
  const folder = mkdtempSync(join(tmpdir(), 'walcast-demo-'))
  const environment = nodeEnvironment()
  const children = new Children(folder, environment, (failure) => abort.abort(failure))
  const release = abortOnSignals(abort)
  try {
    return await play({ folder, children, screen, environment, signal: abort.signal })
  } catch (error) {
    screen.settle()
    throw explained(error, children)
  } finally {
    await children.stopAll()
    release()
    if (keep) process.stderr.write(`kept ${folder}\n`)
    else rmSync(folder, { recursive: true, force: true })
  }
}

/** Shows the log lines that belong to a failure. */
function explained(error: unknown, children: Children): Error {
  if (error instanceof DemoInterrupted) return error
  const log = error instanceof DemoFailure ? error.log : undefined
  process.stderr.write(log ?? children.logTails())
  return error instanceof WalcastError ? error : new DemoFailure(messageOf(error), '', error)
}

/**
 * The demo's nodes share a new secret, and take no other setting from the user's environment.
 */
function nodeEnvironment(): NodeJS.ProcessEnv {
  const foreign = Object.entries(process.env).filter(([name]) => !name.startsWith('WALCAST_'))
  return { ...Object.fromEntries(foreign), WALCAST_SECRET: randomBytes(24).toString('hex') }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Ends the demo in order at a signal, or when the reader of its output leaves. Returns a function
 * that undoes this.
 */
function abortOnSignals(abort: AbortController): () => void {
  const onSignal = () => abort.abort(new DemoInterrupted('interrupted'))
  const onBrokenPipe = () => abort.abort(new DemoInterrupted('the reader of the output has left'))
  for (const signal of SIGNALS) process.on(signal, onSignal)
  process.stdout.on('error', onBrokenPipe)
  return () => {
    for (const signal of SIGNALS) process.removeListener(signal, onSignal)
  }
}
