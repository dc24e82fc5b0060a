/** A node of this machine that is named in any way: only there its database can be written. */
import type { NodeStatus } from '../api/nodeStatus.ts'
import { intoRefused } from '../backup/wayBack.ts'
import { STATUS } from './answerShapes.ts'
import { localNodes } from './localNodes.ts'
import { namedNode } from './namedNode.ts'
import { getJson } from './nodeClient.ts'
import { databaseTarget, type NodeTarget, targetText } from './nodeTarget.ts'

export interface NodeHere {
  readonly target: NodeTarget
  /** Its database file. */
  readonly db: string
  readonly status: NodeStatus
}

/**
 * `name`: its id, HOST:PORT or URL. `db`: its database file; undefined: that of any node of this
 * user here. Throws INTO_REFUSED for a node elsewhere, and what naming and asking a node throws.
 */
export async function nodeHere(name: string, db: string | undefined): Promise<NodeHere> {
  const here = db === undefined ? await nodesHere() : [await ask(databaseTarget(db))]
  const found = here.find(({ status }) => status.node === name)
  if (found) return found
  const target = await namedNode({ node: name }, process.env)
  const { node } = await statusOf(target)
  const same = here.find(({ status }) => status.node === node)
  if (same) return same
  const detail =
    db === undefined
      ? `this user runs no such node on this machine; it answers at ${targetText(target)}`
      : `--db is the database of another node, ${here[0].status.node}`
  throw intoRefused(
    node,
    detail,
    'run the command on the machine of the leader, as the user of its node',
  )
}

async function nodesHere(): Promise<NodeHere[]> {
  // One that ends meanwhile is none of them.
  const asked = localNodes().own.map(async (db) => ask(databaseTarget(db)))
  const all = await Promise.allSettled(asked)
  return all.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
}

async function ask(target: NodeTarget): Promise<NodeHere> {
  const status = await statusOf(target)
  return { target, db: target.kind === 'socket' ? target.db : status.db, status }
}

function statusOf(target: NodeTarget): Promise<NodeStatus> {
  return getJson<NodeStatus>(target, '/_walcast/status', process.env, STATUS)
}
