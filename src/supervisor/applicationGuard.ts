/**
 * Ends the application when `walcast run` ends without having done so, after SIGKILL for example:
 * its writes would go on with no node to capture them. A small shell beside it reads a pipe that
 * only this process has the other end of, and ends what it was told of, with all that descends from
 * it, when the pipe closes. A process counts only with the start time that was told: its number may
 * have been given to another one.
 */
import type { Writable } from 'node:stream'
import type { Logger } from 'pino'
import { messageOf } from '../errors.ts'
import { readFileSync } from '../platform/files.ts'
import { spawn } from '../platform/processes.ts'

/**
 * Field 22 of /proc/PID/stat is the start time (proc(5)); the name in field 2 may hold anything up
 * to the last parenthesis.
 */
const SCRIPT = `
trap '' INT TERM HUP
startOf() {
  read -r stat 2>/dev/null < /proc/$1/stat || return
  set -- \${stat##*) }
  shift 19 && echo $1
}
treeOf() {
  echo $1
  for task in /proc/$1/task/*; do
    children=
    read -r children 2>/dev/null < $task/children
    for child in $children; do (treeOf $child); done
  done
}
known=
while read -r what pid start; do
  case $what in
    add) known="$known $pid:$start" ;;
    drop)
      left=
      for each in $known; do [ "\${each%%:*}" = "$pid" ] || left="$left $each"; done
      known=$left ;;
  esac
done
for each in $known; do
  pid=\${each%%:*}
  [ "$(startOf $pid)" = "\${each#*:}" ] || continue
  kill -KILL $(treeOf $pid) 2>/dev/null
done
`

export class ApplicationGuard {
  readonly #pipe: Writable | null
  #isThere = true

  /** Without a shell there is no guard; the log says so. */
  constructor(log: Logger) {
    // In a session of its own: what is sent to a whole terminal or process group is not for it.
    const guard = spawn('/bin/sh', ['-c', SCRIPT], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    guard.unref()
    this.#pipe = guard.stdin
    const onGone = (why: string) => {
      if (this.#isThere) log.warn({ why }, 'nothing ends the application if this process is killed')
      this.#isThere = false
    }
    guard.once('error', (error) => onGone(messageOf(error)))
    guard.once('exit', () => onGone('its guard has ended'))
    this.#pipe?.on('error', () => {})
  }

  add(pid: number): void {
    const start = startOf(pid)
    if (start !== undefined) this.#write(`add ${pid} ${start}`)
  }

  drop(pid: number): void {
    this.#write(`drop ${pid}`)
  }

  #write(line: string): void {
    if (this.#isThere) this.#pipe?.write(`${line}\n`)
  }
}

/** In clock ticks since the machine started; undefined when the process is gone. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}
