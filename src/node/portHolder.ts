/**
 * Finds the process that listens on a port of this machine. A process of another user stays
 * unknown.
 */
import { readdirSync, readFileSync, readlinkSync } from '../platform/files.ts'
import { createTcpServer } from '../platform/sockets.ts'

/** State of a listening socket in /proc/net/tcp (include/net/tcp_states.h). */
const LISTEN = '0A'

/** Whether nothing listens on this port of the loopback interface. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createTcpServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve(true)))
  })
}

/** `process 4711 (node)`, or `a process that is not to be seen from here`. */
export function holderOf(port: number): string {
  const sockets = new Set(
    ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeners(table, port)),
  )
  const pid = sockets.size > 0 ? processHolding(sockets) : undefined
  return pid === undefined
    ? 'a process that is not to be seen from here'
    : `process ${pid} (${nameOf(pid)})`
}

/** The process that has one of these sockets open, as links in /proc/PID/fd name them. */
export function processHolding(sockets: ReadonlySet<string>): number | undefined {
  return processes().find((each) => holds(each, sockets))
}

/** The sockets that listen on the port, as links in /proc/PID/fd name them. */
function listeners(table: string, port: number): string[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return linesOf(table)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(local) && fields[3] === LISTEN)
    .map((fields) => `socket:[${fields[9]}]`)
}

function processes(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

function holds(pid: number, sockets: ReadonlySet<string>): boolean {
  const folder = `/proc/${pid}/fd`
  try {
    return readdirSync(folder).some((fd) => sockets.has(linkOf(`${folder}/${fd}`)))
  } catch {
    // The process has ended, or belongs to another user.
    return false
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function nameOf(pid: number): string {
  return linesOf(`/proc/${pid}/comm`)[0] || 'of no known name'
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'latin1').split('\n')
  } catch {
    return []
  }
}
