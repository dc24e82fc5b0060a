/**
 * Whether the place of an archive names a node that is to be asked for its archive. A folder that
 * has an archive counts first:
 *
 *     http://HOST:PORT, https://...    the node there; `?place=2` for the second of its places
 *     a folder with snapshots/ or changes/    an archive
 *     FILE, or its FILE-walcast    the node in charge of that database on this machine
 *     HOST:PORT, or an id    that node, when there is no folder of this name
 */
import { CONTROL_SOCKET, databaseOfSocket } from '../api/controlSocket.ts'
import { systemCode, WalcastError } from '../errors.ts'
import { parseHostPort } from '../hostPort.ts'
import { existsSync, lstatSync, realpathSync, statSync } from '../platform/files.ts'
import { askedUrl } from './askedUrl.ts'
import { namedNode } from './namedNode.ts'
import { addressTarget, databaseTarget, type NodeTarget } from './nodeTarget.ts'

export interface ArchiveNode {
  readonly node: NodeTarget
  /** Which one of the places that it archives to, from 1. */
  readonly place: number
}

/** Undefined for a folder or a bucket. Throws USAGE or DB_UNREADABLE. */
export async function archiveNode(
  place: string,
  environment: NodeJS.ProcessEnv,
): Promise<ArchiveNode | undefined> {
  if (/^https?:\/\//i.test(place)) return nodeAt(place)
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(place)) return undefined
  const node = await nodeNamed(place, environment)
  return node && { node, place: 1 }
}

function nodeAt(url: string): ArchiveNode {
  const { origin } = askedUrl(url, '/')
  const { searchParams } = new URL(url)
  const place = searchParams.get('place') ?? '1'
  const hasMore = [...searchParams.keys()].some((name) => name !== 'place')
  if (hasMore || !/^[1-9]\d?$/.test(place)) {
    const detail = 'after the URL of a node only ?place=NUMBER may follow'
    throw new WalcastError('USAGE', { detail })
  }
  return { node: addressTarget(origin), place: Number(place) }
}

async function nodeNamed(
  place: string,
  environment: NodeJS.ProcessEnv,
): Promise<NodeTarget | undefined> {
  const found = lookAt(() => statSync(place, { throwIfNoEntry: false }))
  if (found === 'unreadable') return undefined
  if (found?.isFile()) return databaseTarget(place)
  if (found) return nodeOfFolder(place)
  if (place.includes('/') || place === '') return undefined
  if (parseHostPort(place)) return addressTarget(place)
  try {
    return await namedNode({ node: place }, environment)
  } catch (error) {
    // No node has this id: it is the name of a folder that is not there.
    if (error instanceof WalcastError) return undefined
    throw error
  }
}

/** Where this user may not look, the store says so when it is read. */
function lookAt<Found>(look: () => Found): Found | 'unreadable' {
  try {
    return look()
  } catch (error) {
    if (systemCode(error) === '') throw error
    return 'unreadable'
  }
}

function nodeOfFolder(folder: string): NodeTarget | undefined {
  const hasArchive = ['snapshots', 'changes'].some((name) => existsSync(`${folder}/${name}`))
  if (hasArchive) return undefined
  const socket = `${realpathSync(folder)}/${CONTROL_SOCKET}`
  const db = databaseOfSocket(socket)
  const found = lookAt(() => lstatSync(socket, { throwIfNoEntry: false }))
  const isThere = found !== 'unreadable' && found?.isSocket() === true
  return db !== undefined && isThere ? databaseTarget(db) : undefined
}
