/** What an S3 store has answered: a status, headers, and a body within a bound. */
import type { IncomingHttpHeaders } from 'node:http'
import { childText, readXml } from './xml.ts'

export interface Answer {
  readonly status: number
  /** The store's name of a failure (`NoSuchKey`), or ''. */
  readonly code: string
  /** Region of the bucket, if the store told it. */
  readonly region: string | undefined
  readonly body: Buffer
  /** A header by its name in lower case. */
  header(name: string): string | undefined
}

/** An answer whose body is longer than anything that was asked for. */
export class AnswerTooLong extends Error {}
/** An answer whose body is packed, though it was asked for as it is. */
export class AnswerPacked extends Error {}

const MAX_FAILURE_BYTES = 64 * 1024
const CODE = /^[A-Za-z0-9.]{1,64}$/
const REGION = /^[a-z0-9-]{1,64}$/
/**
 * A store may answer 200 and name a failure in the body, when the request takes long
 * (CompleteMultipartUpload). Statuses of those that may pass.
 */
const LATE_STATUSES: Readonly<Record<string, number>> = {
  InternalError: 500,
  ServiceUnavailable: 503,
  SlowDown: 503,
  PreconditionFailed: 412,
  ConditionalRequestConflict: 409,
  NoSuchUpload: 404,
}

/** Throws AnswerTooLong, AnswerPacked, and what the connection throws. */
export async function readAnswer(
  method: string,
  status: number,
  headers: IncomingHttpHeaders,
  stream: AsyncIterable<Buffer> & { dump(options: { limit: number }): Promise<void> },
  maxBytes: number,
): Promise<Answer> {
  const isFailure = status < 200 || status >= 300
  const header = (name: string) => {
    const value = headers[name]
    return typeof value === 'string' ? value : undefined
  }
  const told = header('x-amz-bucket-region')
  if (method === 'HEAD') {
    await stream.dump({ limit: 0 })
    return { status, code: '', region: regionIn(told), body: Buffer.alloc(0), header }
  }
  const bound = isFailure ? MAX_FAILURE_BYTES : maxBytes
  const body = await readBody(stream, bound)
  const packed = header('content-encoding') ?? 'identity'
  if (!isFailure && body.length > 0 && packed !== 'identity')
    throw new AnswerPacked(`its content is packed (${packed.replace(/\W/g, ' ').slice(0, 20)})`)
  const failure = isFailure || isLateFailure(method, body) ? failureIn(body) : undefined
  const code = failure?.code ?? ''
  return {
    status: isFailure || !failure ? status : (LATE_STATUSES[code] ?? 400),
    code,
    region: regionIn(told) ?? failure?.region,
    body,
    header,
  }
}

async function readBody(stream: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of stream) {
    bytes += piece.length
    if (bytes > maxBytes) throw new AnswerTooLong(`it has more than ${maxBytes} bytes`)
    pieces.push(piece)
  }
  return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces, bytes)
}

const isLateFailure = (method: string, body: Buffer): boolean =>
  method === 'POST' && /<Error[\s>]/.test(body.toString('latin1', 0, 1024))

/** Only its code and region: its texts may repeat what was sent. */
function failureIn(body: Buffer): { readonly code: string; readonly region: string | undefined } {
  try {
    const root = readXml(body)
    if (root.name !== 'Error') return { code: '', region: undefined }
    const code = childText(root, 'Code') ?? ''
    return { code: CODE.test(code) ? code : '', region: regionIn(childText(root, 'Region')) }
  } catch {
    return { code: '', region: undefined }
  }
}

function regionIn(text: string | undefined): string | undefined {
  return text !== undefined && REGION.test(text) ? text : undefined
}
