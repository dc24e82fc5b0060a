/**
 * Lists of an S3 store: objects of a folder (ListObjectsV2), and uploads that were begun
 * (ListMultipartUploads). A list that names what was not asked for, repeats itself or does not end
 * is no list.
 */
import { messageOf } from '../../../errors.ts'
import { isObjectName, type StoredObject } from '../store.ts'
import type { S3Client } from './client.ts'
import { brokenAnswer } from './failures.ts'
import { childText, neededText, readXml, type XmlElement } from './xml.ts'

/** 1000 keys of 1024 bytes, each of them written as a reference at worst. */
const MAX_PAGE_BYTES = 8 * 1024 ** 2
const MAX_TOKEN_CHARS = 4096

/**
 * Objects directly in the folder whose keys begin with `prefix` (ends with a slash). `folder`: the
 * same for names of objects. Keys that no object of an archive has are left out, as those of other
 * programs. Throws what S3Client.ask throws.
 */
export async function listObjects(
  client: S3Client,
  folder: string,
  prefix: string,
): Promise<StoredObject[]> {
  const purpose = `list ${folder}`
  const { listPages } = client.limits
  const found = new Map<string, StoredObject>()
  const tokens = new Set<string>()
  const broken = (detail: string) => brokenAnswer(client.place.name, purpose, detail)
  for (let token: string | undefined; ; ) {
    const query: Record<string, string> = { 'list-type': '2', delimiter: '/', prefix }
    if (token !== undefined) query['continuation-token'] = token
    const { body } = await client.ask({
      ...{ method: 'GET', key: '', query, purpose },
      maxBytes: MAX_PAGE_BYTES,
    })
    const page = parsed(client, purpose, () => objectsIn(readXml(body), folder, prefix))
    for (const object of page.objects) found.set(object.name, object)
    token = page.next
    if (token === undefined) return [...found.values()]
    if (tokens.has(token)) throw broken('the list begins anew before its end')
    tokens.add(token)
    if (tokens.size >= listPages) throw broken(`the list has more than ${listPages} pages`)
  }
}

/**
 * Whether an object has exactly this key. Throws what S3Client.ask throws.
 */
export async function isListed(client: S3Client, key: string, purpose: string): Promise<boolean> {
  const query = { 'list-type': '2', 'max-keys': '1', prefix: key }
  const { body } = await client.ask({
    ...{ method: 'GET', key: '', query, purpose },
    maxBytes: MAX_PAGE_BYTES,
  })
  return parsed(client, purpose, () =>
    named(readXml(body), 'ListBucketResult').children.some(
      (item) => item.name === 'Contents' && neededText(item, 'Key') === key,
    ),
  )
}

export interface BegunUpload {
  readonly key: string
  readonly uploadId: string
  readonly begunMs: number
}

/** Up to 1000 uploads of objects whose keys begin with `prefix`, the first of them by key. */
export async function listUploads(client: S3Client, prefix: string): Promise<BegunUpload[]> {
  const purpose = 'list unfinished uploads'
  const { body } = await client.ask({
    ...{ method: 'GET', key: '', query: { uploads: '', prefix }, purpose },
    maxBytes: MAX_PAGE_BYTES,
  })
  return parsed(client, purpose, () => {
    const root = named(readXml(body), 'ListMultipartUploadsResult')
    return root.children
      .filter(({ name }) => name === 'Upload')
      .map((upload) => ({
        key: below(neededText(upload, 'Key'), prefix),
        uploadId: neededText(upload, 'UploadId'),
        begunMs: Date.parse(neededText(upload, 'Initiated')),
      }))
  })
}

/** What `parse` gives; STORE_BROKEN when it throws. */
export function parsed<T>(client: S3Client, purpose: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw brokenAnswer(client.place.name, purpose, messageOf(error), error)
  }
}

export function named(element: XmlElement, name: string): XmlElement {
  if (element.name !== name) throw new Error(`it is no <${name}>`)
  return element
}

interface Page {
  readonly objects: readonly StoredObject[]
  /** For the next page, if there is one. */
  readonly next: string | undefined
}

function objectsIn(root: XmlElement, folder: string, prefix: string): Page {
  const objects = named(root, 'ListBucketResult')
    .children.filter(({ name }) => name === 'Contents')
    .map((item) => ({
      name: `${folder}/${below(neededText(item, 'Key'), prefix).slice(prefix.length)}`,
      bytes: sizeOf(neededText(item, 'Size')),
    }))
    .filter(({ name }) => isObjectName(name) && !name.includes('/', folder.length + 1))
  if (childText(root, 'IsTruncated') !== 'true') return { objects, next: undefined }
  const next = childText(root, 'NextContinuationToken')
  if (!next || next.length > MAX_TOKEN_CHARS) throw new Error('it does not say where it goes on')
  return { objects, next }
}

function below(key: string, prefix: string): string {
  if (!key.startsWith(prefix)) throw new Error('it names something that was not asked for')
  return key
}

function sizeOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new Error('a size is no number')
  return Number(text)
}
