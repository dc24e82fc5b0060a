/**
 * Ids of nodes. They stand in headers, files, logs and tables: letters, digits, ".", "_" and "-".
 */

/** As whom the command line signs, which has no key of its own: no node may be called so. */
export const COMMAND_LINE = 'cli'

export const NODE_ID = new RegExp(`^(?!${COMMAND_LINE}$)[\\w.-]{1,128}$`)

export function isNodeId(text: string): boolean {
  return NODE_ID.test(text)
}
