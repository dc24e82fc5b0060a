/**
 * Where the nodes of a system run and how they are reached: on the loopback interface unless a
 * suite says otherwise.
 */
import { freePort } from '../src/cli/freePorts.ts'

export interface NodePlace {
  /** HOST:PORT on which the node listens. */
  readonly listen: string
  /** Under which the bench asks it, without a slash at the end. */
  readonly url: string
  /** HOST:PORT under which replicas at this place find the leader; a leader's own is not used. */
  readonly leader: string
  /** What is put before the node's command. */
  readonly prefix: readonly string[]
  /** The cluster's secret, which a node needs beyond loopback. */
  readonly secret?: string
}

/** The place of a node with this name; `leader` is the leader's, for a replica. */
export type Placement = (node: string, leader?: NodePlace) => Promise<NodePlace>

export const onLoopback: Placement = async (_node, leader) => {
  const listen = `127.0.0.1:${await freePort()}`
  return { listen, url: `http://${listen}`, leader: leader?.listen ?? listen, prefix: [] }
}
