/**
 * The way to the control socket of a node on this machine. Nothing secret goes over it: the system
 * tells the node that the caller may ask. A link in its place is not followed.
 */
import type { Dispatcher } from 'undici'
import { CONTROL_SOCKET } from '../api/controlSocket.ts'
import { messageOf, systemCode, WalcastError } from '../errors.ts'
import { lstatSync } from '../platform/files.ts'
import { httpClient } from '../platform/httpClient.ts'
import { kindOf, strangeFile } from '../platform/plainFiles.ts'
import { SocketPath } from '../platform/socketPath.ts'

export interface ControlConnection {
  readonly dispatcher: Dispatcher
  close(): Promise<void>
}

/** Throws NO_LOCAL_NODE, OTHER_USERS_NODE or STRANGE_FILE. */
export function openControlConnection(db: string, folder: string): ControlConnection {
  let path: SocketPath | undefined
  try {
    path = new SocketPath(folder, CONTROL_SOCKET)
    requireSocket(path.path, `${folder}/${CONTROL_SOCKET}`)
  } catch (error) {
    path?.close()
    throw controlError(db, error) ?? error
  }
  const opened = path
  const dispatcher = new (httpClient().Agent)({ connect: { socketPath: opened.path } })
  return {
    dispatcher,
    async close() {
      await dispatcher.destroy()
      opened.close()
    },
  }
}

/** What a system error at the socket means; undefined for another failure. */
export function controlError(db: string, error: unknown): WalcastError | undefined {
  switch (systemCode(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return noNode(db, 'there is no control socket', error)
    case 'ECONNREFUSED':
      return noNode(db, 'the last one was killed', error)
    case 'EACCES':
    case 'EPERM':
      return new WalcastError('OTHER_USERS_NODE', { db, detail: messageOf(error) }, error)
    default:
      return undefined
  }
}

function noNode(db: string, why: string, cause: unknown): WalcastError {
  return new WalcastError('NO_LOCAL_NODE', { detail: `no node of ${db} runs here: ${why}` }, cause)
}

function requireSocket(path: string, shown: string): void {
  const found = lstatSync(path)
  if (!found.isSocket()) throw strangeFile(shown, kindOf(path, found))
}
