/** Who asks a node for something whose answers are bounded for each, and told in the audit log. */
export interface Asker {
  /** A token, an address or this machine: whose share it takes. */
  readonly reader: string
  /** A token with its address, or an address, and the name that it gives itself. */
  readonly by: string
}
