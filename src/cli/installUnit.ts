/** Writes the systemd unit of a node: of the system for root, of the user for others. */
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { systemCode, WalcastError, writeError } from '../errors.ts'
import { type FileOps, makeFolder, systemFileOps } from '../platform/fileOps.ts'
import { chmodSync, readFileSync } from '../platform/files.ts'
import { unitText } from './systemdUnit.ts'

export interface UnitOf {
  /** Id of the node. */
  readonly node: string
  /** Its arguments, with absolute paths and no secret. */
  readonly arguments: readonly string[]
  readonly drainMs: number
}

export interface Installed {
  readonly path: string
  /** The commands that start it now and at each boot. */
  readonly commands: readonly string[]
}

/** Anyone may read a unit. */
const OPEN_TO_READ = 0o644

/** Throws UNIT_EXISTS for one that says something else, DISK_FULL or WRITE_FAILED. */
export async function installUnit(
  { node, arguments: args, drainMs }: UnitOf,
  environment: NodeJS.ProcessEnv,
  ops: FileOps = systemFileOps,
): Promise<Installed> {
  const isRoot = process.geteuid?.() === 0
  const name = `walcast-${node}`
  const path = join(isRoot ? '/etc/systemd/system' : userFolder(environment), `${name}.service`)
  const text = unitText({
    description: `walcast node ${node}`,
    command: [process.execPath, process.argv[1], 'node', ...args],
    stopMs: drainMs,
    wantedBy: isRoot ? 'multi-user.target' : 'default.target',
  })
  await write(path, text, ops)
  const systemctl = isRoot ? 'systemctl' : 'systemctl --user'
  return { path, commands: [`${systemctl} daemon-reload`, `${systemctl} enable --now ${name}`] }
}

function userFolder(environment: NodeJS.ProcessEnv): string {
  return join(environment['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'systemd/user')
}

async function write(path: string, text: string, ops: FileOps): Promise<void> {
  const found = textAt(path)
  if (found !== undefined && found !== text) throw new WalcastError('UNIT_EXISTS', { path })
  makeFolder(dirname(path))
  await ops.replace(path, text)
  chmodSync(path, OPEN_TO_READ)
}

function textAt(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw writeError(path, error)
  }
}
