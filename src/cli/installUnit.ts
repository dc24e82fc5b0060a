/** Writes the systemd unit of a node: of the system for root, of the user for others. */
import { dirname } from 'node:path'
import { systemCode, WalcastError, writeError } from '../errors.ts'
import { type FileOps, makeFolder, systemFileOps } from '../platform/fileOps.ts'
import { chmodSync, readFileSync } from '../platform/files.ts'
import { shown } from './queryCommand.ts'
import type { UnitPlan } from './unitPlan.ts'
import { userText } from './unitUser.ts'

/** Anyone may read a unit. */
const OPEN_TO_READ = 0o644

/**
 * Writes the unit, says so on standard error, and prints the commands that start it. Throws
 * UNIT_EXISTS, DISK_FULL or WRITE_FAILED.
 */
export async function installUnit(plan: UnitPlan, ops: FileOps = systemFileOps): Promise<void> {
  const { name, path, text, user, folder } = plan
  requireNoOther(plan)
  makeFolder(dirname(path))
  await ops.replace(path, text)
  chmodSync(path, OPEN_TO_READ)
  const say = (line: string) => process.stderr.write(`${shown(line)}:\n`)
  const as = user ? ` as ${userText(user)}, who owns ${user.owns}` : ''
  const within = folder === undefined ? '' : ` in ${folder}`
  if (as || within) process.stderr.write(`${shown(`the unit runs${as}${within}`)}\n`)
  say(`wrote ${path}; start the node, now and at each boot`)
  const systemctl = process.geteuid?.() === 0 ? 'systemctl' : 'systemctl --user'
  process.stdout.write(`${systemctl} daemon-reload\n${systemctl} enable --now ${name}\n`)
}

/** Throws UNIT_EXISTS when a unit of that name says something else. */
export function requireNoOther({ path, text }: UnitPlan): void {
  const found = textAt(path)
  if (found !== undefined && found !== text) throw new WalcastError('UNIT_EXISTS', { path })
}

function textAt(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw writeError(path, error)
  }
}
