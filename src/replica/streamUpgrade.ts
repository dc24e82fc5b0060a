/** The upgrade request that begins a stream, and the answer of a node that refuses it. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import {
  MAX_MESSAGE_BYTES,
  MAX_TEXT_CHARS,
  PROTOCOL_VERSIONS,
  STREAM_PATH,
  SUBPROTOCOL_PREFIX,
} from '../../proto/limits.ts'
import { isErrorCode, WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { WebSocket } from '../platform/sockets.ts'

export interface RefusedUpgrade {
  readonly error: WalcastError
  /** The refusing node's clock; 0 when the answer does not tell it. */
  readonly timeMs: number
}

/** Below this a token tells the time in its 15 digits. */
const MAX_CLOCK_MS = 1e15
/** The answer of one of our nodes is far shorter. */
const MAX_ANSWER_CHARS = 4096

/** A connection to a node that has proven itself, and what the upgrade on it says. */
export interface StreamDial {
  readonly socket: Socket
  readonly headers: Readonly<Record<string, string>>
}

/** Undefined in a cluster without a secret: the connection is made with the upgrade. */
export type DialStream = (address: string, timeoutMs: number) => Promise<StreamDial> | undefined

/** The connection is not open yet. */
export function requestStream(
  leader: string,
  handshakeTimeout: number,
  dialed: StreamDial | undefined,
): WebSocket {
  const protocols = PROTOCOL_VERSIONS.map((version) => `${SUBPROTOCOL_PREFIX}${version}`)
  const options = { perMessageDeflate: false, maxPayload: MAX_MESSAGE_BYTES }
  return new WebSocket(`ws://${leader}${STREAM_PATH}`, protocols, {
    ...options,
    handshakeTimeout,
    ...(dialed ? { headers: dialed.headers, createConnection: () => dialed.socket } : {}),
  })
}

/** Reads the answer of the node at `address`; undefined when its body breaks off. */
export function readRefusal(
  response: IncomingMessage,
  address: string,
): Promise<RefusedUpgrade | undefined> {
  return new Promise((resolve) => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (part: string) => {
      if (text.length < MAX_ANSWER_CHARS) text += part
    })
    response.on('end', () => resolve(parse(text, response.statusCode ?? 0, address)))
    response.on('error', () => resolve(undefined))
  })
}

/** `text` is JSON with `code`, `message` and `timeMs`, unless something else answers there. */
function parse(text: string, status: number, address: string): RefusedUpgrade {
  let answer: { code?: unknown; message?: unknown; timeMs?: unknown } = {}
  try {
    answer = Object(JSON.parse(text))
  } catch {
    answer = {}
  }
  const key = String(answer.code ?? '').replace(/^WALCAST_/, '')
  const timeMs = isClock(answer.timeMs) ? answer.timeMs : 0
  // NOT_FOUND means the public side of a node, which has no stream; the private side always has.
  if (isErrorCode(key) && key !== 'NOT_FOUND')
    return {
      error: new WalcastError(key, {
        message: plainText(String(answer.message ?? ''), MAX_TEXT_CHARS),
        address,
      }),
      timeMs,
    }
  const detail = `${status} where a node takes replicas`
  return { error: new WalcastError('NODE_ANSWER', { url: address, detail }), timeMs }
}

function isClock(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value < MAX_CLOCK_MS
}
