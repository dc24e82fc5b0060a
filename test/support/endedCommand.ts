/** A command that is run to its end, or told to stop on the way. */
import { spawn } from 'node:child_process'
import { endingWithParent } from './endsWithParent.ts'
import { CLI } from './paths.ts'

export interface EndedCommand {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandRun {
  /** Where it makes its temporary folders, so that what it leaves behind can be seen. */
  readonly temporary: string
  /** Sent once `whenToStop` resolves. */
  readonly stopSignal: NodeJS.Signals
  /** Sent when `whenToStop` rejects. */
  readonly giveUpSignal: NodeJS.Signals
}

/** Runs `walcast` with these arguments. Rejects with what `whenToStop` rejects with. */
export function commandToEnd(
  args: readonly string[],
  { temporary, stopSignal, giveUpSignal }: CommandRun,
  whenToStop?: () => Promise<unknown>,
): Promise<EndedCommand> {
  return new Promise((resolve, reject) => {
    const [file, bound] = endingWithParent(process.execPath, [CLI, ...args], 'TERM')
    const child = spawn(file, bound, { env: { ...process.env, TMPDIR: temporary } })
    whenToStop?.().then(
      () => child.kill(stopSignal),
      (error) => {
        child.kill(giveUpSignal)
        reject(error)
      },
    )
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
}
