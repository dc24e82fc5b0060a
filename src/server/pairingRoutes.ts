/** `POST /_walcast/pair` and `POST /_walcast/join`: how a node is taken into the cluster. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  JOIN_PATH,
  type JoinCaller,
  joinCommand,
  PAIR_PATH,
  type PairAnswer,
  type PairingDoor,
} from '../api/pairing.ts'
import { WalcastError } from '../errors.ts'
import { NODE_ID } from '../nodeId.ts'
import { canonicalAddress } from '../options/network.ts'
import { UNKNOWN_ADDRESS } from '../proxy/clientAddress.ts'
import { connectionKeys } from '../security/connectionKeys.ts'
import type { JoinClaim } from '../security/pairingProof.ts'
import { qrDrawing } from './qrDrawing.ts'
import {
  addressIn,
  badRequest,
  countOf,
  flagOf,
  type Given,
  orderIn,
  type Place,
  requireNoForeignPage,
  textOf,
} from './requestFields.ts'

/** A claim and its proof, with room for the longest address. */
const MAX_JOIN_BYTES = 2048

export function addPairingRoutes(
  app: FastifyInstance,
  door: PairingDoor,
  placeOf: (request: FastifyRequest) => Place,
): void {
  app.post(PAIR_PATH, async (request, reply) => {
    const { given, by } = orderIn(request, placeOf)
    const isDrawn = flagOf(given, 'qr')
    const made = door.pair(by)
    return reply.header('cache-control', 'no-store').send(isDrawn ? drawn(made) : made)
  })
  app.post(JOIN_PATH, { bodyLimit: MAX_JOIN_BYTES }, async (request, reply) => {
    requireNoForeignPage(request)
    const caller = callerOf(request)
    const given: Given = Object(request.body)
    const answer = await door.join(
      claimIn(given),
      matched(given, 'proof', /^[0-9a-f]{64}$/),
      caller,
    )
    return reply.header('cache-control', 'no-store').send(answer)
  })
}

function drawn(made: PairAnswer): PairAnswer {
  return { ...made, qr: qrDrawing(joinCommand(made.code)) }
}

/** Throws TLS_WANTED or BAD_REQUEST. */
function callerOf({ raw, ip }: FastifyRequest): JoinCaller {
  const keys = connectionKeys(raw.socket)
  if (!keys) throw new WalcastError('TLS_WANTED')
  const { own: server, client, isVerified } = keys
  if (client === undefined) throw badRequest('the connection has no certificate of the new node')
  const from = canonicalAddress(ip ?? '') ?? UNKNOWN_ADDRESS
  return { keys: { server, client }, isVerified, from }
}

/** Throws BAD_REQUEST. */
function claimIn(given: Given): JoinClaim {
  const address = addressIn(given, 'address')
  const timeMs = countOf(given, 'timeMs')
  if (address === undefined || timeMs === undefined)
    throw badRequest('address or timeMs is missing')
  return {
    code: matched(given, 'code', /^[0-9a-f]{8}$/),
    node: matched(given, 'node', NODE_ID),
    address,
    cluster: matched(given, 'cluster', /^[\w.-]{0,128}$/),
    timeMs,
    nonce: matched(given, 'nonce', /^[0-9a-f]{32}$/),
  }
}

function matched(given: Given, name: string, pattern: RegExp): string {
  const text = textOf(given, name) ?? ''
  if (!pattern.test(text)) throw badRequest(`${name} is malformed or missing`)
  return text
}
