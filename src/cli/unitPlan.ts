/**
 * What a systemd unit for a node on this host will say, checked as far as can be told before it is
 * written. It holds no secret: anyone may read a unit.
 */
import { homedir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { WalcastError } from '../errors.ts'
import { addressOf } from '../options/address.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { isPlain } from '../plainText.ts'
import { statSync } from '../platform/files.ts'
import type { NodeCommand } from './nodeCommand.ts'
import { unitText } from './systemdUnit.ts'
import { asUser, type UnitUser, unitUser, userText } from './unitUser.ts'

export interface UnitPlan {
  /** Without `.service`. */
  readonly name: string
  readonly path: string
  readonly text: string
  /** Who runs the node, if that is not the present user. */
  readonly user: UnitUser | undefined
  /** Where the application runs; undefined without one. */
  readonly folder: string | undefined
}

/** Variables that are no option of a node, and hold no secret. */
const KEPT_VARIABLES = [
  ...['WALCAST_SECRET_FILE', 'WALCAST_ELECTION_PASSWORD_FILE'],
  ...['WALCAST_LOG_LEVEL', 'WALCAST_LOG_FORMAT'],
]
const FIRST_OPEN_PORT = 1024

/** `unit`: its name, else one after the database file. Throws USAGE or UNIT_USER. */
export async function planUnit(
  command: NodeCommand,
  unit: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<UnitPlan> {
  const { options } = command
  const isRoot = process.geteuid?.() === 0
  const name = unit?.replace(/\.service$/, '') ?? nameAfter(options.db)
  const user = unitUser(options.db)
  const lasting = command.lasting()
  const program = [process.execPath, process.argv[1]]
  await requireAble(user, options, [...program, ...applicationIn(lasting)])
  const folder = command.name === 'run' ? await workingFolder(user, options) : undefined
  const text = unitText({
    description: `walcast ${command.name} --db ${resolve(options.db)}`,
    command: [...program, command.name, ...lasting],
    environment: keptVariables(environment),
    ...(user ? { user: userText(user) } : {}),
    ...(user && user.name === undefined ? { group: String(user.gid) } : {}),
    ...(folder === undefined ? {} : { folder }),
    bindsLowPorts: user !== undefined && hasLowPort(options),
    stopMs: command.stopMs,
    wantedBy: isRoot ? 'multi-user.target' : 'default.target',
  })
  const units = isRoot ? '/etc/systemd/system' : userFolder(environment)
  return { name, path: join(units, `${name}.service`), text, user, folder }
}

/** `walcast-app` for /srv/app.db. */
function nameAfter(db: string): string {
  const stem = basename(db).replace(/\.(db3?|sqlite3?)$/, '')
  return `walcast-${stem.replaceAll(/[^\w:.-]/g, '-')}`
}

function userFolder(environment: NodeJS.ProcessEnv): string {
  return join(environment['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'systemd/user')
}

function applicationIn(lasting: readonly string[]): readonly string[] {
  const at = lasting.indexOf('--')
  return at < 0 ? [] : lasting.slice(at + 1, at + 2)
}

function keptVariables(environment: NodeJS.ProcessEnv): readonly string[] {
  return KEPT_VARIABLES.flatMap((name) => {
    const value = environment[name]
    if (!value) return []
    return [`${name}=${name.endsWith('_FILE') ? resolve(value) : value}`]
  })
}

function hasLowPort({ listen, proxy, health }: NodeOptions): boolean {
  return [listen, proxy, health].some(
    (address) => address !== undefined && addressOf(address).port < FIRST_OPEN_PORT,
  )
}

/** The user reaches the programs, and owns what a node has left beside the database. */
async function requireAble(
  user: UnitUser | undefined,
  { db }: NodeOptions,
  programs: readonly string[],
): Promise<void> {
  if (!user) return
  const unreached = await asUser(user, () => programs.find((path) => !isReached(path)))
  if (unreached !== undefined) throw unable(user, `that user cannot reach ${unreached}`)
  const state = `${resolve(db)}-walcast`
  const owner = statSync(state, { throwIfNoEntry: false })?.uid
  if (owner !== undefined && owner !== user.uid)
    throw unable(user, `${state} belongs to another user (chown -R ${userText(user)} ${state})`)
}

function unable(user: UnitUser, detail: string): WalcastError {
  return new WalcastError('UNIT_USER', { user: userText(user), owns: user.owns, detail })
}

function isReached(path: string): boolean {
  try {
    return statSync(path) !== undefined
  } catch {
    return false
  }
}

/** The present folder, as in a shell, else the one of the database: root may stand in /root. */
async function workingFolder(user: UnitUser | undefined, { db }: NodeOptions): Promise<string> {
  const here = process.cwd()
  const mayEnter = await asUser(user, () => isReached(`${here}/.`))
  const folder = mayEnter ? here : dirname(resolve(db))
  if (isPlain(folder)) return folder
  throw new WalcastError('USAGE', { detail: 'a unit cannot run in a folder of this name' })
}
