/** Runs a drill in a process of its own. */
import { isErrorCode, messageOf, WalcastError } from '../../errors.ts'
import { makeFolder } from '../../platform/fileOps.ts'
import { rmSync } from '../../platform/files.ts'
import { spawn } from '../../platform/processes.ts'
import { programPath } from '../../programs.ts'
import type { DrillAnswer, DrillOrder } from './drillOrder.ts'

/** An answer is one short line. */
const MAX_ANSWER_CHARS = 16 * 1024
const MAX_ERROR_CHARS = 300

/**
 * Makes the folder of the order, and removes it at the end. Rejects with STOPPING once `signal`
 * aborts: nothing of the drill is left then. Throws DRILL_ENDED when the process gives no answer.
 */
export async function runDrill(order: DrillOrder, signal: AbortSignal): Promise<DrillAnswer> {
  clearFolder(order.folder)
  makeFolder(order.folder)
  try {
    return await ask(order, signal)
  } finally {
    clearFolder(order.folder)
  }
}

/** What an interrupted drill has left. */
export function clearFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

function ask(order: DrillOrder, signal: AbortSignal): Promise<DrillAnswer> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [programPath('backup/drill/drillProgram')], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let out = ''
    let failure = ''
    const end = () => child.kill('SIGKILL')
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    child.stdout.on('data', (chunk) => {
      out = `${out}${chunk}`.slice(0, MAX_ANSWER_CHARS)
    })
    child.stderr.on('data', (chunk) => {
      failure = `${failure}${chunk}`.slice(-MAX_ERROR_CHARS)
    })
    child.once('error', (error) => {
      failure = messageOf(error)
    })
    child.once('close', (code, killedBy) => {
      signal.removeEventListener('abort', end)
      const answer = answerIn(out)
      const detail = failure.trim() || `it ended with ${killedBy ?? code}`
      if (signal.aborted) reject(new WalcastError('STOPPING'))
      else if (answer) resolve(answer)
      else reject(new WalcastError('DRILL_ENDED', { detail }))
    })
    // A process that has ended takes nothing; its end tells why.
    child.stdin.on('error', () => {})
    child.stdin.write(`${JSON.stringify(order)}\n`)
  })
}

function answerIn(line: string): DrillAnswer | undefined {
  let value: Partial<Record<'kind' | 'bytes' | 'code' | 'message', unknown>>
  try {
    value = Object(JSON.parse(line))
  } catch {
    return undefined
  }
  const { kind, bytes, code, message } = value
  if ((kind === 'proven' || kind === 'checked') && typeof bytes === 'number') return { kind, bytes }
  if (kind !== 'failed' || typeof code !== 'string' || typeof message !== 'string') return undefined
  return isErrorCode(code) ? { kind, code, message } : undefined
}
