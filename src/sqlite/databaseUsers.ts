/**
 * Which other processes have a database open. Best effort, for an answer before long work: it sees
 * processes of other users only where this user may, and not those of another machine.
 */
import { systemCode } from '../errors.ts'
import { readdirSync, readFileSync, statSync } from '../platform/files.ts'
import { locksOf } from './lockTable.ts'

/** For a person: `process 4711 (node)`. Undefined when none is seen. */
export function userOf(path: string): string | undefined {
  const found = [path, `${path}-wal`, `${path}-shm`].flatMap((file) => {
    const about = statSync(file, { bigint: true, throwIfNoEntry: false })
    return about ? [about] : []
  })
  const names = new Set(found.map(({ dev, ino }) => `${dev}:${ino}`))
  const pid = processes().find((each) => opens(each, names))
  if (pid !== undefined) return `process ${pid} (${commandOf(pid)})`
  const isLocked = found.some((file) =>
    (locksOf(file) ?? []).some(({ pid: of }) => of !== process.pid),
  )
  return isLocked ? 'a process that this user may not see' : undefined
}

function processes(): string[] {
  return listed('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
}

function opens(pid: string, names: ReadonlySet<string>): boolean {
  return listed(`/proc/${pid}/fd`).some((fd) => {
    try {
      const { dev, ino } = statSync(`/proc/${pid}/fd/${fd}`, { bigint: true })
      return names.has(`${dev}:${ino}`)
    } catch {
      // Closed meanwhile, or something that has no file.
      return false
    }
  })
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (['ENOENT', 'EACCES', 'EPERM', 'ENOTDIR', 'ESRCH'].includes(systemCode(error))) return []
    throw error
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return 'it has just ended'
  }
}
