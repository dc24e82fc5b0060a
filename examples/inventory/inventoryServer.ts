/** A walcast node and the application that it feeds, in one process. */
import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import type { FastifyInstance } from 'fastify'
import { openLeader, openReplica, type WalcastNode } from 'walcast'
import { buildApp } from './app.ts'
import { Inventory } from './inventory.ts'

export interface ServerOptions {
  readonly db: string
  /** Private side of the node. */
  readonly listen: string
  /** Of the application. */
  readonly port: number
  /** Private side of the leader; without one this node leads. */
  readonly leader: string | undefined
  readonly name: string | undefined
  readonly secret: string | undefined
  readonly checkEveryMs: number
  readonly staleAfterMs: number
}

export interface InventoryServer {
  readonly app: FastifyInstance
  readonly node: WalcastNode
  readonly inventory: Inventory
  readonly url: string
  stop(): Promise<void>
}

/** Throws the start-up errors of walcast and of Fastify; nothing is left running then. */
export async function startServer(options: ServerOptions): Promise<InventoryServer> {
  const node = await startNode(options)
  const inventory = new Inventory(handleOf(node))
  const { checkEveryMs, staleAfterMs } = options
  const app = buildApp({ node, inventory, checkEveryMs, staleAfterMs })
  const stop = async () => {
    // The application first. Its requests still need the node: on a replica to hand them to the
    // leader, on a leader to replicate what they commit, and everywhere for their handle, which
    // `node.close` closes. The other way round, a write that is answered after the node has stopped
    // is on the leader alone until it is started again.
    await app.close()
    await node.close()
  }
  try {
    const url = await app.listen({ host: '127.0.0.1', port: options.port })
    return { app, node, inventory, url, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function startNode({ db, listen, leader, name, secret }: ServerOptions): Promise<WalcastNode> {
  const given = { db, listen, secret, ...(name === undefined ? {} : { name }) }
  if (leader !== undefined) return openReplica({ ...given, leader })
  // A leader wants a file that exists. Only a missing one is opened here: closing a database that a
  // crash left behind would empty its WAL, from which the node learns what happened meanwhile.
  if (!existsSync(db)) new Database(db).close()
  return openLeader(given)
}

/**
 * Opened at its first use: a replica's file appears with the first whole copy, and no handler runs
 * there before.
 */
function handleOf(node: WalcastNode): () => Database.Database {
  let handle: Database.Database | undefined
  return () => {
    // `query_only` as long as this node does not lead.
    handle ??= node.open()
    return handle
  }
}
