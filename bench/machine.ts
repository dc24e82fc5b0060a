/** Where a result was taken. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statfsSync } from 'node:fs'
import { cpus, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly mem: string
  readonly kernel: string
  readonly node: string
  /** File system of the temporary folder that holds the databases. */
  readonly fileSystem: string
  /** CPU that other processes took just before and just after, in percent of one core. */
  readonly busyBeforePercent: number
  readonly busyAfterPercent: number
}

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  16914836: 'tmpfs',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  2035054128: 'overlayfs',
}

export function describeMachine(): Omit<Machine, 'busyBeforePercent' | 'busyAfterPercent'> {
  const { type } = statfsSync(tmpdir())
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    mem: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    kernel: release(),
    node: process.version,
    fileSystem: FILE_SYSTEMS[type] ?? `0x${type.toString(16)}`,
  }
}

/**
 * CPU that everything on the machine takes now, while nothing is measured, in percent of one core.
 * Above a few percent, results are worth little.
 */
export async function busyPercent(ms = 1000): Promise<number> {
  const before = busyTicks()
  const fromMs = performance.now()
  await new Promise((resolve) => setTimeout(resolve, ms))
  const seconds = (performance.now() - fromMs) / 1000
  return Math.round((busyTicks() - before) / seconds)
}

/**
 * Ticks (100 a second and core) not spent idle: user, nice, system, irq, softirq and steal of
 * /proc/stat.
 */
function busyTicks(): number {
  const [line] = readFileSync('/proc/stat', 'latin1').split('\n')
  const fields = line.split(/\s+/).slice(1).map(Number)
  return [0, 1, 2, 5, 6, 7].reduce((sum, i) => sum + (fields[i] ?? 0), 0)
}

/**
 * The commit of the checkout, with `-dirty` when files other than results differ from it; outside
 * one the version of the package. The repository of a project that the package is installed in says
 * nothing about it.
 */
export function describeCommit(root: string): string {
  if (!existsSync(join(root, '.git'))) return `v${versionOf(root)}`
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', root, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  try {
    return (
      git('rev-parse', '--short', 'HEAD') +
      (git('status', '--porcelain', '--', '.', ':!bench/results') ? '-dirty' : '')
    )
  } catch {
    return 'unknown'
  }
}

function versionOf(root: string): string {
  return String(Object(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))).version)
}
