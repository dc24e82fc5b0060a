/**
 * The place of an archive in an S3 store: `s3://BUCKET/PREFIX?region=..&endpoint=..`. It is shown
 * to people and kept in files, so nothing in it may be a secret: keys come from elsewhere
 * (`credentials.ts`), and a place with a user name or an unknown word is refused.
 */
import { WalcastError } from '../../../errors.ts'
import { isLoopback } from '../../../hostPort.ts'
import { isPlain, plainText } from '../../../plainText.ts'

export interface S3Place {
  readonly bucket: string
  /** What all keys begin with, without a slash at its ends; '' for the whole bucket. */
  readonly prefix: string
  readonly region: string
  /** The bucket's URL, without a slash at its end. */
  readonly url: string
  /** The place as it was given. */
  readonly name: string
}

/** S3 has keys of 1024 bytes, and names of objects have up to 200. */
const MAX_PREFIX_BYTES = 800
const PLACE = /^s3:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/
/** S3 wants 3 to 63 of the lower case; older buckets, and other stores, have more. */
const BUCKET = /^[A-Za-z0-9][\w.-]{1,253}[A-Za-z0-9]$/
/** A name that a certificate for `*.s3.REGION.amazonaws.com` covers. */
const HOST_LABEL = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/
const REGION = /^[A-Za-z0-9-]{1,64}$/
const WORDS = ['region', 'endpoint', 'path-style', 'plaintext'] as const
type Word = (typeof WORDS)[number]
const DEFAULT_REGION = 'us-east-1'
const SHOWN_CHARS = 100

/** Region and endpoint come from the environment where the place has none. Throws STORE_PLACE. */
export function parseS3Place(place: string, environment: NodeJS.ProcessEnv): S3Place {
  const [, bucket = '', path = '', query = ''] = PLACE.exec(place) ?? []
  if (bucket.includes('@'))
    throw wrong('it has a user name or a key, which others could read there')
  if (!BUCKET.test(bucket) || bucket.includes('..'))
    throw wrong(`it does not begin with s3://BUCKET/, or that is no name of a bucket`)
  const words = wordsOf(query)
  const prefix = prefixOf(path)
  const region = regionOf(words, environment)
  const endpoint = endpointOf(words, environment)
  const isPathStyle = flagOf(words, 'path-style') ?? (endpoint !== '' || !HOST_LABEL.test(bucket))
  const url = bucketUrl(endpoint || amazonUrl(region), bucket, isPathStyle)
  return { bucket, prefix, region, url, name: plainText(place, 1000) }
}

/** The URL of a key below the bucket; '' for the bucket. */
export function urlOf({ url }: S3Place, key: string): string {
  return `${url}/${key.split('/').map(encodePart).join('/')}`
}

/** As signatures want it (RFC 3986), which encodeURIComponent does but for five characters. */
export function encodePart(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function wordsOf(query: string): ReadonlyMap<Word, string> {
  const words = new Map<Word, string>()
  for (const [key, value] of new URLSearchParams(query)) {
    const word = WORDS.find((each) => each === key)
    // The value may be a key that somebody put into the wrong place.
    if (!word) throw wrong(`it has something other than ${WORDS.join(', ')} after the "?"`)
    if (words.has(word)) throw wrong(`it has ${word} twice`)
    words.set(word, value)
  }
  return words
}

function flagOf(words: ReadonlyMap<Word, string>, word: Word): boolean | undefined {
  const value = words.get(word)
  if (value === undefined || value === 'yes') return value && true
  if (value === 'no') return false
  throw wrong(`${word} is neither yes nor no`)
}

/** No part that a URL would take for a way upwards, and nothing that steers a terminal. */
function prefixOf(path: string): string {
  const prefix = decoded(path).replace(/\/$/, '')
  if (prefix === '') return ''
  if (!isPlain(prefix)) throw wrong('its prefix has control characters')
  if (prefix.split('/').some((part) => /^\.{0,2}$/.test(part)))
    throw wrong('its prefix has an empty part, "." or ".."')
  if (Buffer.byteLength(prefix) > MAX_PREFIX_BYTES)
    throw wrong(`its prefix has more than ${MAX_PREFIX_BYTES} bytes`)
  return prefix
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw wrong('its prefix has a "%" that is not written %25')
  }
}

function regionOf(words: ReadonlyMap<Word, string>, environment: NodeJS.ProcessEnv): string {
  const region =
    words.get('region') ||
    environment['AWS_REGION'] ||
    environment['AWS_DEFAULT_REGION'] ||
    DEFAULT_REGION
  if (!REGION.test(region)) throw wrong('its region is no name of a region')
  return region
}

function amazonUrl(region: string): string {
  return `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`
}

/** '' for Amazon's. */
function endpointOf(words: ReadonlyMap<Word, string>, environment: NodeJS.ProcessEnv): string {
  const given =
    words.get('endpoint') ||
    environment['AWS_ENDPOINT_URL_S3'] ||
    environment['AWS_ENDPOINT_URL'] ||
    ''
  if (given === '') return ''
  const text = given.includes('://') ? given : `https://${given}`
  if (!URL.canParse(text)) throw wrong('its endpoint is no URL')
  const url = new URL(text)
  if (url.username || url.password) throw wrong('its endpoint has a user name or a password')
  if (!/^https?:$/.test(url.protocol) || url.search || url.hash)
    throw wrong('its endpoint is not https://HOST:PORT')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (url.protocol === 'http:' && !isLoopback(host) && flagOf(words, 'plaintext') !== true)
    throw wrong(
      `${plainText(url.host, SHOWN_CHARS)} would be asked in plain text, where others read the ` +
        'database: write https://, or add plaintext=yes',
    )
  return url.href.replace(/\/+$/, '')
}

function bucketUrl(endpoint: string, bucket: string, isPathStyle: boolean): string {
  if (isPathStyle) return `${endpoint}/${bucket}`
  const url = endpoint.replace('://', `://${bucket}.`)
  if (!URL.canParse(url)) throw wrong('its bucket cannot be part of a host: add path-style=yes')
  return url
}

function wrong(detail: string): WalcastError {
  return new WalcastError('STORE_PLACE', { detail })
}
