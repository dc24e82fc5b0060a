/**
 * Ends the application when `walcast run` ends without having done so, for example after SIGKILL:
 * no node would capture its writes. A small shell reads a pipe whose other end only this process
 * has. When the pipe closes, the shell kills the processes that it was told of and all their
 * descendants. It checks their start times: the number of a process may have been given to another
 * one.
 */
import type { Writable } from 'node:stream'
import type { Logger } from 'pino'
import { messageOf } from '../errors.ts'
import { readFileSync } from '../platform/files.ts'
import { spawn } from '../platform/processes.ts'

/**
 * Field 22 of /proc/PID/stat is the start time (proc(5)). The name in field 2 may hold anything up
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
    // In a session of its own: signals to the terminal or the process group do not reach it.
    const guard = spawn('/bin/sh', ['-c', SCRIPT], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    guard.unref()
    this.#pipe = guard.stdin
    const onGone = (why: string) => {
      if (this.#isThere)
        log.warn({ why }, 'a SIGKILL of this process would leave the application running')
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
