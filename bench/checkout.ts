/** Whether the bench runs in a checkout or in an installed package, and what follows from it. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** An installed package has what is compiled, and no sources. */
export function isCheckout(root: string): boolean {
  return existsSync(join(root, 'src'))
}

/**
 * `out` when it is given; else the checkout's own results, or a folder below the current one: a
 * package is not written to.
 */
export function resultFolder(root: string, out: string): string {
  if (out) return resolve(out)
  return isCheckout(root) ? join(root, 'bench/results') : resolve('walcast-bench')
}
