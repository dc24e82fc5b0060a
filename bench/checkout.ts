/** Whether the bench runs in a checkout or in an installed package, and what follows from it. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** An installed package has compiled files and no sources. */
export function isCheckout(root: string): boolean {
  return existsSync(join(root, 'src'))
}

/**
 * `out` when given; else the results of the checkout, or a folder below the current one: nothing is
 * written into a package.
 */
export function resultFolder(root: string, out: string): string {
  if (out) return resolve(out)
  return isCheckout(root) ? join(root, 'bench/results') : resolve('walcast-bench')
}
