/** A walcast node and the application that it feeds, in one process. */
import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import type { FastifyInstance } from 'fastify'
import {
  keyring,
  openLeader,
  openReplica,
  type Settings,
  settings,
  type WalcastNode,
} from 'walcast'
import { Accounts } from './accounts.ts'
import { buildApp } from './app.ts'
import { Inventory } from './inventory.ts'

export interface ServerOptions {
  readonly db: string
  /** Private side of the node. */
  readonly listen: string
  /** Address of the application. */
  readonly port: number
  /** Private side of the leader; without it this node leads. */
  readonly leader: string | undefined
  readonly name: string | undefined
  readonly secret: string | undefined
  /** With one, people and programs have to log in. */
  readonly password?: string | undefined
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

/** Throws the start-up errors of walcast and of Fastify, and leaves nothing running. */
export async function startServer(options: ServerOptions): Promise<InventoryServer> {
  const node = await startNode(options)
  const handle = handleOf(node)
  const inventory = new Inventory(handle)
  const { checkEveryMs, staleAfterMs, password } = options
  const accounts = accountsOf(options.db, handle)
  const app = buildApp({ node, inventory, accounts, password, checkEveryMs, staleAfterMs })
  const stop = async () => {
    // The application closes first. Its requests still need the node: a replica forwards them, a
    // leader replicates their commits, and `node.close` closes their handle. The other way round, a
    // write answered after the node has stopped would be on the leader alone until it restarts.
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
  // A leader needs an existing file. This opens only a missing one: closing a database after a
  // crash would empty its WAL, from which the node learns what happened.
  if (!existsSync(db)) new Database(db).close()
  return openLeader(given)
}

/**
 * Opened at its first use: a replica's file appears with the first complete copy, and no handler
 * runs before.
 */
function handleOf(node: WalcastNode): () => Database.Database {
  let handle: Database.Database | undefined
  return () => {
    // `query_only` as long as this node does not lead.
    handle ??= node.open()
    return handle
  }
}

/** The keys are those of the node. Without any, the login is kept as it is: hashes only. */
function accountsOf(db: string, handle: () => Database.Database): Accounts {
  const keys = keyring(db)
  let store: Settings | undefined
  return new Accounts(() => {
    store ??= settings(handle(), keys)
    return store
  }, keys)
}
