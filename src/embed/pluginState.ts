/** What the Fastify plugin knows of one application, and of each request while it is under way. */
import type { ServerResponse } from 'node:http'
import type { FastifyRequest } from 'fastify'
import type { AckLevel } from '../feed/ackLevel.ts'
import type { Client } from '../proxy/client.ts'
import type { NodeTraffic, PluginNode } from '../proxy/pluginNode.ts'
import type { ReplayableBody } from '../proxy/replayableBody.ts'

/** What belongs to one application. */
export interface PluginState {
  readonly node: PluginNode
  readonly traffic: NodeTraffic
  readonly running: WeakMap<FastifyRequest, Running>
  /**
   * Requests that this node passed on: the intake or the public side admitted them, and completes
   * their answers.
   */
  readonly passed: WeakSet<FastifyRequest>
  /** For clients' requests that run on the leader. */
  readonly led: WeakMap<FastifyRequest, Led>
  /** Responses that are sent past Fastify now. */
  readonly forwarding: Set<ServerResponse>
}

/** What the plugin knows of a request that runs on the leader. */
export interface Led {
  readonly incarnation: string
  /** How many replicas its answer waits for. */
  readonly level: AckLevel | undefined
}

/** What the plugin knows of a request that runs on a replica. */
export interface Running {
  readonly client: Client
  body: ReplayableBody | undefined
  /** Another hook reads the body, or the answer has begun: it is too late for the leader. */
  mustEndHere: boolean
}
