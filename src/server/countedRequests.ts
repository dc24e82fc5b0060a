/** How the listeners of a node's private side count connections and requests. */
import type { RequestListener } from 'node:http'
import { tellClose } from '../proxy/client.ts'
import {
  ConnectionBudget,
  type ConnectionHost,
  type ConnectionLimits,
} from '../proxy/connectionBudget.ts'

/** For a listener with few connections, of people and programs that are not told apart. */
export function fewConnections(
  limits: ConnectionLimits,
  most: number,
  onCut: ConnectionHost['onCut'],
): ConnectionBudget {
  return new ConnectionBudget(
    { ...limits, maxConnections: most, maxClientConnections: most },
    {
      clientAt: () => undefined,
      onCut,
      refuse: (response) => void response.req.socket.destroy(),
    },
  )
}

/**
 * Hands on each request that its connection may still have, and counts it until it is over. Its
 * answer hears of the close of the connection, also behind that of another request.
 */
export function counted(connections: ConnectionBudget, handle: RequestListener): RequestListener {
  return (request, response) => {
    if (connections.overflows(request.socket)) return
    tellClose(request, response)
    connections.arrive(response)
    response.once('close', () => connections.leave(response))
    handle(request, response)
  }
}
