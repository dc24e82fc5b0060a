/** SIGHUP, by which an operator or a program that renews certificates tells of a new one. */
import type { NodeOptions } from '../options/nodeOptions.ts'

/** Without a certificate of the operator's, the signal ends the process as it does by default. */
export function reloadAtHangup({ tlsCert }: NodeOptions, reload: () => void): void {
  if (tlsCert !== undefined) process.on('SIGHUP', reload)
}
