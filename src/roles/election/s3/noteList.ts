/**
 * A list of notes as S3 answers it (ListObjectsV2), with their ages by the store's own clock: it
 * says when each object was written, and what time it is now. So a note is known to be old at the
 * first look, whatever the clocks of the nodes say. Both times are in whole seconds.
 */
import { named } from '../../../backup/stores/s3/listing.ts'
import { childText, neededText, readXml, type XmlElement } from '../../../backup/stores/s3/xml.ts'

export interface ListedNote {
  readonly name: string
  readonly bytes: number
  /** Undefined when the store does not say it. */
  readonly ageMs: number | undefined
}

/**
 * Names are what follows `prefix`. `nowMs`: the store's clock, or NaN. Throws an Error for what is
 * no list.
 */
export function listedNotes(body: Uint8Array, prefix: string, nowMs: number): ListedNote[] {
  return named(readXml(body), 'ListBucketResult')
    .children.filter(({ name }) => name === 'Contents')
    .map((item) => ({
      name: below(neededText(item, 'Key'), prefix),
      bytes: bytesOf(neededText(item, 'Size')),
      ageMs: ageOf(item, nowMs),
    }))
}

function below(key: string, prefix: string): string {
  if (!key.startsWith(prefix)) throw new Error('it names something that was not asked for')
  return key.slice(prefix.length)
}

function bytesOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new Error('a size is no number')
  return Number(text)
}

function ageOf(item: XmlElement, nowMs: number): number | undefined {
  const ageMs = nowMs - Date.parse(childText(item, 'LastModified') ?? '')
  return Number.isNaN(ageMs) ? undefined : ageMs
}
