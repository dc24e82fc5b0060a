/** Why another node gave no answer, as an operator reads it, and what to do about it. Pure. */
import { NotInTime, PeerUnproven, type Unproven } from '../cluster/peerDialer.ts'
import { keyOf, messageOf, systemCode, WalcastError } from '../errors.ts'

/** A cause has a cause of its own at most so often. */
const MAX_CAUSES = 8

const BY_CODE: Readonly<Record<string, string>> = {
  ECONNREFUSED:
    'the connection was refused: no process listens there; start the node, or correct its address',
  ECONNRESET: 'it closed the connection without an answer; look at its log',
  ENOTFOUND: 'its host name is not known here; look at DNS or at /etc/hosts',
  EAI_AGAIN: 'its host name cannot be looked up now; look at DNS',
  EHOSTUNREACH: 'no network leads to that host; see whether it runs, and look at the network',
  ENETUNREACH: 'no network leads to that host; look at the network of this one',
}
const TOO_LATE =
  'no connection in time: the host is off, or a firewall drops what is sent there; look at both'
const SILENT =
  'it takes the connection and does not answer in time: it hangs or is overloaded; look at its log'
const NO_NODE = 'what answers there is no node; see which program listens there'

const UNPROVEN: Readonly<Record<Unproven, (detail: string) => string>> = {
  tls: (detail) =>
    `TLS failed (${detail}); look at the certificates, and the clocks, of both nodes`,
  key: (detail) =>
    `its TLS key is not one of this cluster (${detail}); pair it again (walcast pair), or see ` +
    'which program listens there',
  secret: (detail) =>
    `what answers there is not of this cluster (${detail}); see which program listens there, and ` +
    'whether both nodes have one secret',
}

/** `error`: what `PeerReads.read` threw. */
export function noAnswerText(error: unknown): string {
  const causes = causesOf(error)
  for (const each of causes) {
    const text = textOf(each)
    if (text !== undefined) return text
  }
  return error instanceof WalcastError && keyOf(error) === 'NODE_UNREACHABLE'
    ? String(error.details['detail'] ?? error.message)
    : messageOf(error)
}

/** The innermost comes first. */
function causesOf(error: unknown): readonly unknown[] {
  const causes: unknown[] = []
  for (let each = error; each instanceof Error && causes.length < MAX_CAUSES; each = each.cause)
    causes.unshift(each)
  return causes
}

function textOf(error: unknown): string | undefined {
  if (error instanceof NotInTime) return error.isSilent ? SILENT : TOO_LATE
  if (error instanceof SyntaxError) return NO_NODE
  if (error instanceof WalcastError) return textOfKnown(error)
  const code = systemCode(error)
  if (code === 'ETIMEDOUT') return TOO_LATE
  if (code === 'ABORT_ERR' || (error instanceof Error && error.name === 'TimeoutError'))
    return SILENT
  return code.startsWith('HPE_') ? NO_NODE : BY_CODE[code]
}

function textOfKnown(error: WalcastError): string | undefined {
  const detail = String(error.details['detail'])
  if (error.key === 'NODE_ANSWER') return `${NO_NODE} (it answers ${detail})`
  if (error.key !== 'PEER_UNPROVEN') return undefined
  return UNPROVEN[error instanceof PeerUnproven ? error.by : 'secret'](detail)
}
