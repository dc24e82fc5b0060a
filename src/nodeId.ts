/**
 * Ids of nodes. They stand in headers, files, logs and tables: letters, digits, ".", "_" and "-".
 */

export const NODE_ID = /^[\w.-]{1,128}$/

export function isNodeId(text: string): boolean {
  return NODE_ID.test(text)
}
