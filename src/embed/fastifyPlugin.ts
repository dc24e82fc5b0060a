/**
 * `walcast/fastify`: an application in the node's process, on a leader or a replica. On a replica,
 * routes that write are forwarded to the leader before their handlers run. Reads are answered here,
 * once this node has what the client has seen.
 */
import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Position } from '../../proto/position.ts'
import { WalcastError } from '../errors.ts'
import { type NodeTraffic, type PluginNode, TRAFFIC } from '../proxy/pluginNode.ts'
import { admit, refuseUnknownPlace } from './pluginAdmission.ts'
import { canReplay, closeConnectionsOnClose, forward, isRefusedWrite } from './pluginForwarding.ts'
import { addPosition } from './pluginPositions.ts'
import type { Led, PluginState, Running } from './pluginState.ts'

export interface WalcastPluginOptions {
  readonly node: PluginNode
  /**
   * Handles of better-sqlite3, which are `query_only` while the node does not lead. They stay the
   * caller's.
   */
  readonly handles?: readonly object[]
  /** URL of this application from this machine, if that is not the address at which it listens. */
  readonly upstream?: string
}

declare module 'fastify' {
  interface FastifyInstance {
    /** The node beside this application: its role, position, waits. */
    readonly walcast: PluginNode
  }
  interface FastifyRequest {
    /** The position that the client brought, in a header or a cookie. */
    readonly position: Position | undefined
  }
  interface FastifyContextConfig {
    /**
     * Where this route runs when the node is a replica. Without it GET, HEAD and OPTIONS run here,
     * others on the leader.
     */
    readonly walcast?: 'leader' | 'local'
  }
}

const plugin: FastifyPluginAsync<WalcastPluginOptions> = async (app, options) => {
  const { node } = options
  if (!node?.[TRAFFIC])
    throw new WalcastError('USAGE', {
      detail: 'the option node must be a node from openLeader, openReplica or openNode',
    })
  const traffic = node[TRAFFIC]
  const state: PluginState = {
    node,
    traffic,
    running: new WeakMap<FastifyRequest, Running>(),
    passed: new WeakSet<FastifyRequest>(),
    led: new WeakMap<FastifyRequest, Led>(),
    forwarding: new Set<ServerResponse>(),
  }
  const { running, forwarding } = state
  traffic.passes.use()
  for (const handle of options.handles ?? []) node.adopt(handle)
  app.decorate('walcast', { getter: () => node })
  app.decorateRequest('position', {
    getter(this: FastifyRequest) {
      return traffic.consistency.carried(this.raw)
    },
  })
  attachOnListen(app, traffic, options.upstream)
  closeConnectionsOnClose(app, forwarding)
  app.addHook('onRoute', ({ url, config }) => refuseUnknownPlace(url, config?.walcast))
  app.addHook('onRequest', (request, reply) => admit(request, reply, state))
  app.addHook('preParsing', async (request, _reply, payload) => {
    const local = running.get(request)
    if (!local?.client.hasBody) return payload
    local.mustEndHere = payload !== request.raw
    if (local.mustEndHere) return payload
    local.body = traffic.bodies.of(local.client)
    return local.body?.stream() ?? payload
  })
  app.addHook('onError', (request, reply, error, done) => {
    const local = running.get(request)
    if (!local || !isRefusedWrite(error) || !canReplay(local, request, reply)) return done()
    // Fastify's part is over: after `done` it would answer the error.
    void forward(reply, local.client, state, { body: local.body })
  })
  app.addHook('preSerialization', (request, _reply, payload, done) => {
    markAnswered(running.get(request))
    done(null, payload)
  })
  app.addHook('onSend', (request, reply, _payload, done) => {
    markAnswered(running.get(request))
    addPosition(request, reply, state, done)
  })
}

export const walcast = fastifyPlugin(plugin, { fastify: '5.x', name: 'walcast' })
export default walcast

function markAnswered(local: Running | undefined): void {
  if (local) local.mustEndHere = true
}

/** Forwarded requests come to the address at which the application listens. */
function attachOnListen(
  app: FastifyInstance,
  traffic: NodeTraffic,
  upstream: string | undefined,
): void {
  if (upstream !== undefined) traffic.attach(new URL(upstream).origin)
  app.addHook('onListen', async () => {
    if (traffic.upstream !== undefined) return traffic.attach(traffic.upstream)
    const address = app.server.address()
    if (address === null || typeof address === 'string') {
      app.log.warn(
        'walcast: give the plugin the option upstream, so that other nodes can forward requests',
      )
      return
    }
    const { address: host, port, family } = address
    const isAny = host === '0.0.0.0' || host === '::'
    const name = isAny ? '127.0.0.1' : family === 'IPv6' ? `[${host}]` : host
    const scheme = app.initialConfig.https ? 'https' : 'http'
    traffic.attach(`${scheme}://${name}:${port}`)
  })
  app.addHook('preClose', () => traffic.detach())
}
