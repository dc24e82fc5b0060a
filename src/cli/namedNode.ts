/**
 * Which node a command asks. What is named on the command line counts before the environment:
 *
 *     NODE, --node    an id, HOST:PORT or URL
 *     --db FILE       the node of that file on this machine
 *     WALCAST_NODE, WALCAST_DB    the same two
 *     nothing         the only node of this user on this machine; when there is none, what listens
 *                     at 127.0.0.1:8470
 *
 * An id is looked up in the member list of the node on this machine.
 */
import { isIP } from 'node:net'
import type { NodeStatus } from '../api/nodeStatus.ts'
import { asWalcastError, WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { connectTcp } from '../platform/sockets.ts'
import { MEMBERS } from './answerShapes.ts'
import { ADDRESS_WANTED } from './askedUrl.ts'
import { type LocalNodes, localNodes } from './localNodes.ts'
import { nearestName } from './nearestName.ts'
import { getJson } from './nodeClient.ts'
import { addressTarget, databaseTarget, type NodeTarget } from './nodeTarget.ts'

/** What the command line names. */
export interface NamedNode {
  readonly node?: string | undefined
  readonly db?: string | undefined
}

/** What finds nodes on this machine. */
export interface Machine {
  nodes(): LocalNodes
  /** Whether something listens on this port of the loopback interface. */
  listens(port: number): Promise<boolean>
}

const LAST_TRY_PORT = 8470
const LAST_TRY_MS = 2000
const LAST_TRY = `127.0.0.1:${LAST_TRY_PORT}`
const MAX_SHOWN_CHARS = 100

const THIS_MACHINE: Machine = { nodes: localNodes, listens }

/**
 * Throws USAGE, DB_UNREADABLE, NO_LOCAL_NODE, SEVERAL_NODES, and for an id what asking a node
 * throws.
 */
export async function namedNode(
  { node, db }: NamedNode,
  environment: NodeJS.ProcessEnv,
  machine: Machine = THIS_MACHINE,
): Promise<NodeTarget> {
  if (db === '') throw new WalcastError('USAGE', { detail: '--db wants a value' })
  // An empty variable counts as not set.
  const path = db ?? (environment['WALCAST_DB'] || undefined)
  const local = async () => (path === undefined ? onlyNode(machine) : databaseTarget(path))
  const given = node ?? (db === undefined ? environment['WALCAST_NODE'] || undefined : undefined)
  if (given === undefined) return local()
  if (isId(given)) return nodeById(given, local, environment)
  if (db !== undefined)
    throw new WalcastError('USAGE', { detail: '--db and an address name two nodes: give one' })
  return addressTarget(given)
}

/** Whether it can be the id of a node, and not an address without its port. */
function isId(text: string): boolean {
  return /^[\w.-]{1,128}$/.test(text) && !/^\d{1,5}$/.test(text) && isIP(text) === 0
}

type Known = Pick<NodeStatus, 'node'> & Partial<Pick<NodeStatus, 'members'>>

async function nodeById(
  id: string,
  local: () => Promise<NodeTarget>,
  environment: NodeJS.ProcessEnv,
): Promise<NodeTarget> {
  try {
    const here = await local()
    const { node, members } = await getJson<Known>(here, '/_walcast/status', environment, MEMBERS)
    if (node === id) return here
    const address = members?.find((member) => member.node === id)?.address
    if (address) return addressTarget(address, here)
    const known = [node, ...(members ?? []).map((member) => member.node)]
    throw unknownId(id, `${plainText(node, MAX_SHOWN_CHARS)} knows no node ${id}`, known)
  } catch (error) {
    const { key, message, cure } = asWalcastError(error)
    // No node is there to ask for an id, so it may well be an address with a typing error.
    const isAlone = key === 'NO_LOCAL_NODE' || key === 'SEVERAL_NODES'
    throw isAlone ? unknownId(id, `${message}; ${cure}`) : error
  }
}

/** `known`: ids of nodes, of which one was perhaps meant. */
function unknownId(id: string, why: string, known: readonly string[] = []): WalcastError {
  const nearest = nearestName(id, known)
  const meant = nearest ? `; did you mean ${plainText(nearest, MAX_SHOWN_CHARS)}?` : ''
  const hint = `an address is ${ADDRESS_WANTED}${meant}`
  return new WalcastError('USAGE', { detail: `no node ${id} was found: ${why} (${hint})` })
}

async function onlyNode(machine: Machine): Promise<NodeTarget> {
  const { own, others } = machine.nodes()
  const [db, ...more] = own
  if (more.length > 0)
    throw new WalcastError('SEVERAL_NODES', { files: shownFiles(own), first: shownFiles([db]) })
  if (db !== undefined) return databaseTarget(db)
  if (await machine.listens(LAST_TRY_PORT)) return addressTarget(LAST_TRY)
  const hidden = others.length > 0 ? ` (other users run those of ${shownFiles(others)})` : ''
  throw new WalcastError('NO_LOCAL_NODE', {
    detail: `this user runs no node on this machine${hidden}, and nothing listens on ${LAST_TRY}`,
    ...(hidden === '' ? {} : { cure: 'run the command as the user of that node, or as root' }),
  })
}

function shownFiles(files: readonly string[]): string {
  return files.map((file) => plainText(file, MAX_SHOWN_CHARS)).join(', ')
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp({ host: '127.0.0.1', port, timeout: LAST_TRY_MS })
    const end = (isThere: boolean) => {
      socket.destroy()
      resolve(isThere)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.once('error', () => end(false))
  })
}
