/**
 * An S3 store in memory, for tests: it checks every signature itself, and fails in the ways that a
 * test chooses for each request. It is strict where S3 is, and where walcast must be.
 */
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { type AcceptedKeys, signatureProblem } from './s3Signature.ts'

interface Ending {
  after(end: () => void): void
}

export interface S3Exchange {
  readonly method: string
  readonly key: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export interface StoredBytes {
  readonly body: Buffer
  readonly etag: string
  readonly writer: string
  readonly writtenMs?: number
}

/** What happens to one request. */
export type Fault =
  /** The connection ends, and nothing was done. */
  | 'cut'
  /** It is done, and the connection ends without an answer. */
  | 'lost answer'
  /** It is done, and the answer is 500. */
  | 'failed though done'
  /** It is done, and half of the answer's body comes. */
  | 'half an answer'
  /** Half of the body is stored, and nobody is told. */
  | 'half stored'
  /** It is done twice, as something on its way may send it, and the second answer comes. */
  | 'sent twice'
  /** Nothing is done and nothing comes. */
  | 'silence'
  /** It is done, and nothing comes. */
  | 'done in silence'
  /** The connection ends, and nothing is done before the test calls `doLate`. */
  | 'done later'
  /** It is done, and the answer comes when the test calls `doLate`. */
  | 'answered later'
  /** This answer, and nothing is done. */
  | {
      readonly status: number
      readonly code?: string
      readonly body?: string | Buffer
      readonly headers?: Readonly<Record<string, string>>
    }

export interface S3Behaviour {
  /** `ignored`: looks over the header. `refused`: 501. `parts refused`: 501 for joined parts. */
  conditional: 'honoured' | 'ignored' | 'refused' | 'parts refused'
  /**
   * Whether PUT honours If-Match. `two at once`: it looks, and writes a moment later, so that two
   * that come at once both succeed, with If-None-Match too.
   */
  replaces: 'honoured' | 'ignored' | 'refused' | 'two at once'
  /** Whether GET honours If-Match. */
  matches: boolean
  /** 403 for an object that is not there, as S3 does to keys that may list a prefix only. */
  hidesMissing: boolean
  /** Objects of one page of a list. */
  pageSize: number
  /** Keys that are there, and that no list shows yet. */
  unlisted: Set<string>
  /** The server's clock less ours. */
  skewMs: number
  keys: AcceptedKeys
  fault: (exchange: S3Exchange) => Fault | undefined
}

export interface S3Server {
  readonly endpoint: string
  readonly bucket: string
  readonly behaviour: S3Behaviour
  readonly objects: Map<string, StoredBytes>
  readonly uploads: Map<string, Upload>
  /** `PUT a/b?partNumber=1`, in the order in which they came. */
  readonly log: string[]
  readonly exchanges: S3Exchange[]
  /** What was held back, in the order in which it came. Each is called once. */
  readonly doLate: (() => void)[]
}

interface Upload {
  readonly key: string
  readonly writer: string
  begunMs: number
  readonly parts: Map<number, Buffer>
}

interface Reply {
  readonly status: number
  readonly body?: Buffer | string
  readonly headers?: Readonly<Record<string, string>>
}

export const TEST_KEYS: AcceptedKeys = {
  accessKeyId: 'AKIATESTTESTTESTTEST',
  secretAccessKey: 'test/secret+key/of/forty/characters/long',
  region: 'eu-test-1',
}

/** What a process needs in its environment to be let in. */
export const TEST_ENVIRONMENT = {
  AWS_ACCESS_KEY_ID: TEST_KEYS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: TEST_KEYS.secretAccessKey,
  AWS_REGION: TEST_KEYS.region,
}

export async function s3Server(
  t: Ending,
  given: Partial<S3Behaviour> = {},
  bucket = 'archives',
): Promise<S3Server> {
  const behaviour: S3Behaviour = {
    conditional: 'honoured',
    replaces: 'honoured',
    matches: true,
    hidesMissing: false,
    pageSize: 1000,
    unlisted: new Set(),
    skewMs: 0,
    keys: TEST_KEYS,
    fault: () => undefined,
    ...given,
  }
  const server = createServer((request, response) => {
    void serve(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const made: S3Server = {
    endpoint: `http://127.0.0.1:${port}`,
    bucket,
    behaviour,
    objects: new Map(),
    uploads: new Map(),
    log: [],
    exchanges: [],
    doLate: [],
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bytesOf(request)
    const target = request.url ?? ''
    const [path, query = ''] = target.split('?')
    const [, first, ...rest] = path.split('/').map(decodeURIComponent)
    const method = request.method ?? ''
    const key = rest.join('/')
    const exchange: S3Exchange = {
      ...{ method, key, query: new URLSearchParams(query), headers: request.headers, body },
    }
    made.log.push(`${method} ${key}${query && `?${query}`}`)
    made.exchanges.push(exchange)
    const fault = behaviour.fault(exchange)
    if (fault === 'cut') return void response.destroy()
    if (fault === 'silence') return
    const nowMs = Date.now() + behaviour.skewMs
    const problem = signatureProblem(
      { method, target, headers: request.headers, body },
      behaviour.keys,
      nowMs,
    )
    const doIt = () =>
      typeof fault === 'object'
        ? failure(fault)
        : problem
          ? refusal(problem, behaviour.keys.region)
          : first !== bucket
            ? refusal('NoSuchBucket')
            : answer(made, fault === 'half stored' ? halved(exchange) : exchange)
    if (fault === 'sent twice') doIt()
    if (fault === 'done later') {
      made.doLate.push(doIt)
      return void response.destroy()
    }
    const reply = await (method === 'PUT' && behaviour.replaces === 'two at once'
      ? doneAMomentLater(made, exchange, doIt)
      : doIt())
    if (fault === 'answered later')
      return void made.doLate.push(() => send(response, method, reply, false, nowMs))
    if (fault === 'lost answer') return void response.destroy()
    if (fault === 'done in silence') return
    if (fault === 'failed though done') return send(response, method, { status: 500 }, false, nowMs)
    send(response, method, reply, fault === 'half an answer', nowMs)
  }
  return made
}

function send(
  response: ServerResponse,
  method: string,
  { status, body = '', headers = {} }: Reply,
  isHalf: boolean,
  nowMs: number,
): void {
  const bytes = Buffer.from(body)
  response.writeHead(status, {
    'content-length': bytes.length,
    date: new Date(nowMs).toUTCString(),
    ...headers,
  })
  if (method === 'HEAD') return void response.end()
  if (!isHalf) return void response.end(bytes)
  response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy())
}

const halved = (exchange: S3Exchange): S3Exchange => ({
  ...exchange,
  body: exchange.body.subarray(0, exchange.body.length / 2),
})

function failure({ status, code, body, headers }: Exclude<Fault, string>): Reply {
  const given = body ?? (code ? errorXml(code) : '')
  return { status, body: given, ...(headers ? { headers } : {}) }
}

const STATUSES: Readonly<Record<string, number>> = {
  NoSuchKey: 404,
  NoSuchBucket: 404,
  NoSuchUpload: 404,
  PreconditionFailed: 412,
  InvalidRange: 416,
  NotImplemented: 501,
  InvalidPart: 400,
  AuthorizationHeaderMalformed: 400,
  MethodNotAllowed: 405,
}

function refusal(code: string, region?: string): Reply {
  return { status: STATUSES[code] ?? 403, body: errorXml(code, region) }
}

function errorXml(code: string, region?: string): string {
  const where = region ? element('Region', region) : ''
  const message = element('Message', '\u001b[31mtold')
  return document('Error', element('Code', code), message, where)
}

function answer(server: S3Server, exchange: S3Exchange): Reply {
  const { method, key, query } = exchange
  if (key === '' && method === 'GET')
    return query.has('uploads') ? listUploads(server, query) : list(server, query)
  if (method === 'POST' && query.has('uploads')) return begin(server, exchange)
  if (query.has('uploadId')) return ofUpload(server, exchange)
  if (method === 'PUT') return put(server, exchange)
  if (method === 'DELETE') {
    server.objects.delete(key)
    return { status: 204 }
  }
  return method === 'GET' || method === 'HEAD' ? get(server, exchange) : refusal('MethodNotAllowed')
}

function get({ objects, behaviour }: S3Server, { key, headers }: S3Exchange): Reply {
  const object = objects.get(key)
  if (!object) return refusal(behaviour.hidesMissing ? 'AccessDenied' : 'NoSuchKey')
  const { body, etag, writer } = object
  if (behaviour.matches && headers['if-match'] && headers['if-match'] !== etag)
    return refusal('PreconditionFailed')
  const about = { etag, 'x-amz-meta-walcast-writer': writer }
  const range = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '')
  if (!range) return { status: 200, body, headers: about }
  const [from, to] = [Number(range[1]), Math.min(Number(range[2]), body.length - 1)]
  if (from > to) return refusal('InvalidRange')
  return {
    status: 206,
    body: body.subarray(from, to + 1),
    headers: { ...about, 'content-range': `bytes ${from}-${to}/${body.length}` },
  }
}

function put(server: S3Server, exchange: S3Exchange): Reply {
  const isForced = server.behaviour.replaces === 'two at once'
  const problem = isForced ? undefined : conditionProblem(server, exchange)
  if (problem) return refusal(problem)
  const { key, headers, body } = exchange
  const etag = `"${md5(body).toString('hex')}"`
  server.objects.set(key, { body, etag, writer: writerOf(headers), writtenMs: Date.now() })
  return { status: 200, headers: { etag } }
}

/** As S3 answers it; a condition over an object that is not there is 404. */
function conditionProblem(
  { objects, behaviour }: S3Server,
  { key, headers }: S3Exchange,
): string | undefined {
  const isOnlyNew = headers['if-none-match'] === '*'
  if (isOnlyNew && behaviour.conditional === 'refused') return 'NotImplemented'
  if (isOnlyNew && behaviour.conditional !== 'ignored' && objects.has(key))
    return 'PreconditionFailed'
  const wanted = headers['if-match']
  if (wanted === undefined || behaviour.replaces === 'ignored') return undefined
  if (behaviour.replaces === 'refused') return 'NotImplemented'
  const object = objects.get(key)
  if (!object) return 'NoSuchKey'
  return object.etag === wanted ? undefined : 'PreconditionFailed'
}

/** Until others that come at once have looked too. */
const MOMENT_MS = 50

async function doneAMomentLater(
  server: S3Server,
  exchange: S3Exchange,
  doIt: () => Reply,
): Promise<Reply> {
  const problem = conditionProblem(server, exchange)
  if (problem) return refusal(problem)
  await delay(MOMENT_MS)
  return doIt()
}

function begin({ uploads }: S3Server, { key, headers }: S3Exchange): Reply {
  const id = `${randomUUID()}+/=`
  uploads.set(id, { key, writer: writerOf(headers), begunMs: Date.now(), parts: new Map() })
  return {
    status: 200,
    body: document(
      'InitiateMultipartUploadResult',
      element('Bucket', 'b'),
      element('Key', escaped(key)),
      element('UploadId', id),
    ),
  }
}

function ofUpload(server: S3Server, { method, key, query, headers, body }: S3Exchange): Reply {
  const id = query.get('uploadId') ?? ''
  const upload = server.uploads.get(id)
  if (upload?.key !== key) return refusal('NoSuchUpload')
  if (method === 'DELETE') {
    server.uploads.delete(id)
    return { status: 204 }
  }
  if (method === 'POST') return join(server, id, upload, headers, body)
  upload.parts.set(Number(query.get('partNumber')), body)
  return { status: 200, headers: { etag: `"${md5(body).toString('hex')}"` } }
}

function join(
  { objects, uploads, behaviour }: S3Server,
  id: string,
  { key, parts, writer }: Upload,
  headers: IncomingMessage['headers'],
  body: Buffer,
): Reply {
  const isOnlyNew = headers['if-none-match'] === '*'
  if (isOnlyNew && /refused/.test(behaviour.conditional)) return refusal('NotImplemented')
  if (isOnlyNew && behaviour.conditional === 'honoured' && objects.has(key))
    return refusal('PreconditionFailed')
  const wanted = [
    ...body
      .toString()
      .matchAll(/<Part><PartNumber>(\d+)<\/PartNumber><ETag>&#34;(\w+)&#34;<\/ETag>/g),
  ]
  const pieces = wanted.map(([, number, etag]) => {
    const part = parts.get(Number(number))
    return part && md5(part).toString('hex') === etag ? part : undefined
  })
  const whole = pieces.flatMap((piece) => piece ?? [])
  if (whole.length !== pieces.length || whole.length === 0) return refusal('InvalidPart')
  uploads.delete(id)
  const etag = `"${md5(Buffer.concat(whole.map(md5))).toString('hex')}-${whole.length}"`
  objects.set(key, { body: Buffer.concat(whole), etag, writer, writtenMs: Date.now() })
  return {
    status: 200,
    body: '<CompleteMultipartUploadResult><Key>x</Key></CompleteMultipartUploadResult>',
  }
}

function list({ objects, behaviour }: S3Server, query: URLSearchParams): Reply {
  const prefix = query.get('prefix') ?? ''
  const delimiter = query.get('delimiter') ?? ''
  const after = Buffer.from(query.get('continuation-token') ?? '', 'base64').toString()
  const keys = [...objects.keys()]
    .filter((key) => key.startsWith(prefix) && key > after && !behaviour.unlisted.has(key))
    .toSorted()
  const page = keys.slice(0, behaviour.pageSize)
  const isDeep = (key: string) => delimiter !== '' && key.slice(prefix.length).includes(delimiter)
  const contents = page
    .filter((key) => !isDeep(key))
    .map((key) =>
      element(
        'Contents',
        element('Key', escaped(key)),
        element('ETag', '&quot;x&quot;'),
        element('Size', String(objects.get(key)?.body.length)),
        element('LastModified', writtenAt(objects.get(key))),
      ),
    )
  const isMore = keys.length > page.length
  const token = Buffer.from(page.at(-1) ?? '').toString('base64')
  const next = isMore ? element('NextContinuationToken', token) : ''
  return {
    status: 200,
    body: document(
      'ListBucketResult',
      element('Prefix', escaped(prefix)),
      element('IsTruncated', String(isMore)),
      ...contents,
      next,
    ),
  }
}

function listUploads({ uploads }: S3Server, query: URLSearchParams): Reply {
  const prefix = query.get('prefix') ?? ''
  const found = [...uploads]
    .filter(([, { key }]) => key.startsWith(prefix))
    .map(([id, { key, begunMs }]) =>
      element(
        'Upload',
        element('Key', escaped(key)),
        element('UploadId', id),
        element('Initiated', new Date(begunMs).toISOString()),
      ),
    )
  return { status: 200, body: document('ListMultipartUploadsResult', ...found) }
}

/** In whole seconds, as S3 has it. */
const writtenAt = (object: StoredBytes | undefined) =>
  new Date(object?.writtenMs ?? Date.now()).toISOString().replace(/\.\d+Z/, '.000Z')

const writerOf = (headers: IncomingMessage['headers']) =>
  String(headers['x-amz-meta-walcast-writer'] ?? '')

const element = (name: string, ...inside: readonly string[]) =>
  `<${name}>${inside.join('')}</${name}>`

const document = (name: string, ...inside: readonly string[]) =>
  '<?xml version="1.0" encoding="UTF-8"?>\n' +
  `<${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inside.join('')}</${name}>`

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest()

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}
