/**
 * Questions of the command line that carry its token, or are signed with a key of the cluster. The
 * node proves that it knows the token, or the cluster secret, before anything is sent to it. The
 * secret itself is never sent.
 */
import type { Socket } from 'node:net'
import { TlsWanted } from '../cluster/connectionProof.ts'
import { type Peer, PeerDialer } from '../cluster/peerDialer.ts'
import { exchangeOver, type SocketAnswer } from '../cluster/socketExchange.ts'
import { WalcastError } from '../errors.ts'
import { COMMAND_LINE } from '../nodeId.ts'
import { nowMs } from '../platform/time.ts'
import { ClusterSecrets } from '../security/clusterSecrets.ts'
import {
  CHALLENGE_HEADER,
  formatChallenge,
  newChallenge,
  nodeProvenBy,
  PROOF_HEADER,
  type ProofKeys,
} from '../security/proof.ts'
import { NO_BODY, REPLICA_AUTH_HEADER, sha256, signRequest } from '../security/requestSignature.ts'
import { tokenProofKey } from '../security/token.ts'
import type { Credential } from './credential.ts'

const RESERVED = '/_walcast/'
/** Any node that knows the secret or the token is believed: the person typed its address. */
const ANY_KEY = {
  nodeOf: () => undefined,
  isRemoved: () => false,
  introduce: () => true,
} as const

/**
 * A node that has proven itself, and a connection to it for one question at a time. While there is
 * none the connection does not keep the process from ending.
 */
export interface ProvenNode {
  ask(question: {
    readonly method: string
    /** Path with query. */
    readonly path: string
    readonly headers: Readonly<Record<string, string>>
    readonly body: string | undefined
    readonly maxBytes: number
    readonly signal: AbortSignal
    /**
     * Over plain text the answer is proven, too: rejects with PEER_UNPROVEN when something on the
     * way has changed its status or body.
     */
    readonly isAnswerProven?: boolean | undefined
  }): Promise<SocketAnswer>
  close(): void
}

/** What the command line knows of a node, and how it proves itself to one. */
interface Acquaintance {
  readonly keys: ProofKeys
  /** What the node has to know, in words. */
  readonly text: string
  headersFor(peer: Peer, request: RequestParts): Readonly<Record<string, string>>
}

interface RequestParts {
  readonly method: string
  readonly path: string
  readonly body: string | undefined
}

/**
 * Connects to the node at a URL. Throws PEER_UNPROVEN when it knows neither the token nor the
 * secret, or the error of the connection.
 */
export async function provenNode(
  url: URL,
  credential: Credential,
  timeoutMs: number,
): Promise<ProvenNode> {
  const isTls = url.protocol === 'https:'
  const { keys, text, headersFor } = acquaintanceBy(credential)
  const dialer = new PeerDialer({
    transport: isTls ? 'tls' : 'plain',
    secrets: keys,
    secretText: text,
    keys: undefined,
    known: ANY_KEY,
  })
  const address = `${url.hostname}:${url.port || (isTls ? 443 : 80)}`
  const { socket, peer } = await connected(dialer, address, timeoutMs)
  return {
    async ask({ body, isAnswerProven, ...question }) {
      const isAsked = isAnswerProven && peer.fingerprint === ''
      const challenge = isAsked ? newChallenge() : undefined
      socket.ref()
      const answer = await exchangeOver(socket, {
        ...question,
        ...(body === undefined ? {} : { body }),
        headers: {
          host: address,
          ...question.headers,
          ...(challenge && {
            [CHALLENGE_HEADER]: formatChallenge({ challenge, keyIds: keys.ids }),
          }),
          // On other paths anyone may ask, and a signature would make it a forwarded request.
          ...(question.path.startsWith(RESERVED) ? headersFor(peer, { ...question, body }) : {}),
        },
      }).finally(() => socket.unref())
      const said = { ...question, ...answer, fingerprint: '' }
      if (challenge && !nodeProvenBy(keys, answer.headers[PROOF_HEADER], { ...said, challenge }))
        throw changedAnswer(address)
      return answer
    },
    close: () => socket.destroy(),
  }
}

function changedAnswer(address: string): WalcastError {
  return new WalcastError('PEER_UNPROVEN', {
    message: `what came from ${address} is not the answer that a node of this cluster gave`,
    cure: 'something on the way changes answers: ask the node over TLS, or on its machine',
  })
}

/** In plain text unless the node wants TLS, where an address is all that was typed. */
async function connected(
  dialer: PeerDialer,
  address: string,
  timeoutMs: number,
): Promise<{ readonly socket: Socket; readonly peer: Peer }> {
  const { socket, ready } = dialer.dial(address, timeoutMs)
  try {
    return { socket, peer: await ready }
  } catch (error) {
    if (!(error instanceof TlsWanted)) throw error
    const again = dialer.dial(address, timeoutMs)
    return { socket: again.socket, peer: await again.ready }
  }
}

function acquaintanceBy(credential: Credential): Acquaintance {
  if (credential.kind === 'token') {
    const { id, hash, text } = credential.token
    const proofKey = tokenProofKey(hash)
    return {
      keys: { ids: [id], key: (named) => (named === id ? proofKey : undefined) },
      text: `token ${id}, which is revoked or of another cluster`,
      headersFor: () => ({ authorization: `Bearer ${text}` }),
    }
  }
  const secrets = new ClusterSecrets([credential.secret])
  return {
    keys: secrets,
    text: 'the cluster secret',
    headersFor: (peer, request) => signatureOf(secrets, peer, request),
  }
}

function signatureOf(
  secrets: ClusterSecrets,
  { node, aheadMs = 0 }: Peer,
  { method, path, body }: RequestParts,
): Readonly<Record<string, string>> {
  const signature = signRequest(secrets, {
    purpose: 'order',
    method,
    path,
    from: COMMAND_LINE,
    to: node,
    epoch: 0,
    nowMs: nowMs() + aheadMs,
    body: body === undefined ? NO_BODY : sha256(body),
    headers: [],
  })
  return { [REPLICA_AUTH_HEADER]: signature }
}
