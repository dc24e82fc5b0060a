/**
 * A test process that is killed cannot end what it has started, so that ends by itself: the kernel
 * sends it a signal when its parent dies (prctl(2), PR_SET_PDEATHSIG), one that a stopped process
 * obeys too. Children of children are not covered. Without setpriv(1), which Linux systems have,
 * children stay behind.
 */
import { spawnSync } from 'node:child_process'

const RUNNER_LOOK_MS = 500
/** SIGTERM is for programs that end children of their own. */
export type ParentDeathSignal = 'KILL' | 'TERM'

let hasSetpriv: boolean | undefined

/**
 * The command that runs `file` so that it ends with this process. It execs `file`, so the process
 * id stays.
 */
export function endingWithParent(
  file: string,
  args: readonly string[],
  signal: ParentDeathSignal = 'KILL',
): readonly [file: string, args: string[]] {
  hasSetpriv ??=
    spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true'], { stdio: 'ignore' }).status === 0
  return hasSetpriv ? ['setpriv', ['--pdeathsig', signal, '--', file, ...args]] : [file, [...args]]
}

/** Ends this process when the test runner that started it ends. Call it once. */
export function endWithRunner(): void {
  if (process.env['NODE_TEST_CONTEXT'] === undefined) return
  const runner = process.ppid
  setInterval(() => {
    if (process.ppid !== runner) process.exit(1)
  }, RUNNER_LOOK_MS).unref()
}
