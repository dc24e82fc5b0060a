/**
 * Requests that are answered past Fastify: by the leader, or by this application itself, to which
 * they come back as forwarded requests do. Nothing of their route has run by then.
 */
import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { keyOf, systemCode } from '../errors.ts'
import { sendFailure } from '../proxy/answer.ts'
import type { Client } from '../proxy/client.ts'
import { fromClient } from '../proxy/headers.ts'
import type { ReplayableBody } from '../proxy/replayableBody.ts'
import type { PluginState, Running } from './pluginState.ts'

const MAX_CAUSES = 4

/** Answers from the leader, past Fastify. `replay`: the request failed here because it writes. */
export function forward(
  reply: FastifyReply,
  client: Client,
  state: PluginState,
  replay?: { readonly body: ReplayableBody | undefined },
): Promise<undefined> {
  const { replicaSide, leaderSide } = state.traffic
  return answerPast(reply, client, state, async () => {
    for (;;) {
      const outcome = await (replay
        ? replicaSide.replay(client, replay.body)
        : replicaSide.forward(client))
      if (outcome === 'answered' || client.isGone) return
      // The request waited until this node itself came to lead: it comes back to this application
      // as a forwarded request does.
      if ((await leaderSide.take(client, true)) === 'answered') return
    }
  })
}

/** The request comes back to this application as a forwarded request does. */
export function executeKeyed(
  client: Client,
  reply: FastifyReply,
  state: PluginState,
): Promise<undefined> {
  const headers = fromClient(client.request, client.origin)
  return answerPast(reply, client, state, () =>
    state.traffic.leaderSide.execute(client, headers, false),
  )
}

async function answerPast(
  reply: FastifyReply,
  client: Client,
  { traffic, forwarding }: PluginState,
  answer: () => Promise<void>,
): Promise<undefined> {
  reply.hijack()
  forwarding.add(reply.raw)
  reply.raw.once('close', () => forwarding.delete(reply.raw))
  try {
    await answer()
  } catch (error) {
    sendFailure(
      client.response,
      error,
      (unforeseen) => traffic.onFailure(unforeseen),
      (known) => traffic.bodyOf(known),
    )
  }
}

/**
 * Whether SQLite refused a write, or the settings did; the error may be wrapped in one of a query
 * builder.
 */
export function isRefusedWrite(error: unknown): boolean {
  for (
    let cause = error, depth = 0;
    cause instanceof Error && depth < MAX_CAUSES;
    cause = cause.cause, depth++
  )
    if (/^SQLITE_(BUSY|READONLY)/.test(systemCode(cause)) || keyOf(cause) === 'SETTING_ON_REPLICA')
      return true
  return false
}

/**
 * Whether the leader can run the request instead: nothing was answered, and its body can be sent
 * from the beginning.
 */
export function canReplay(
  { client, body, mustEndHere }: Running,
  { raw }: FastifyRequest,
  reply: FastifyReply,
): boolean {
  if (mustEndHere || reply.sent || reply.raw.headersSent) return false
  return body ? body.canReplay : !client.hasBody || !raw.readableDidRead
}

/** Otherwise a busy keep-alive connection would hold up `app.close()`. */
export function closeConnectionsOnClose(
  app: FastifyInstance,
  forwarding: Iterable<ServerResponse>,
): void {
  let isClosing = false
  app.addHook('preClose', async () => {
    isClosing = true
    for (const response of forwarding) endConnection(response)
  })
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (isClosing) reply.header('connection', 'close')
    done()
  })
}

/** Ends the connection after its answer, even if that has begun. */
function endConnection(response: ServerResponse): void {
  const { socket } = response
  response.shouldKeepAlive = false
  response.once('finish', () => socket?.end())
}
