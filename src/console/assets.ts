/**
 * The files of the console's page, which the build makes in `dist/console`, each also compressed.
 * A node reads them when they are first asked for, and never again. A path that is not in the table
 * names no file.
 */
import { createHash } from 'node:crypto'
import { CONSOLE_PATH } from '../api/consoleSession.ts'
import { messageOf, WalcastError } from '../errors.ts'
import { readFileSync } from '../platform/files.ts'
import { consoleFolder } from '../programs.ts'

const TYPES = {
  'index.html': 'text/html; charset=utf-8',
  'console.js': 'text/javascript; charset=utf-8',
  'console.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
} as const

export type AssetName = keyof typeof TYPES

const NAMES: readonly AssetName[] = ['index.html', 'console.js', 'console.css', 'icon.svg']

/** Redirected to the page. */
export const BARE_CONSOLE_PATH = CONSOLE_PATH.slice(0, -1)

/** The file at each path. */
export const ASSETS: ReadonlyMap<string, AssetName> = new Map(
  NAMES.map((name) => [`${CONSOLE_PATH}${name === 'index.html' ? '' : name}`, name]),
)

export const ASSET_PATHS: readonly string[] = [BARE_CONSOLE_PATH, ...ASSETS.keys()]

/** The best first. */
const ENCODINGS = [
  { name: 'br', ending: '.br' },
  { name: 'gzip', ending: '.gz' },
] as const

/** Nothing but the page's own files, and no request but to its own node. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** What the page never needs of a browser. */
const REFUSED_FEATURES = [
  ...['accelerometer', 'camera', 'display-capture', 'geolocation', 'gyroscope', 'magnetometer'],
  ...['microphone', 'midi', 'payment', 'screen-wake-lock', 'usb', 'xr-spatial-tracking'],
]

export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'permissions-policy': REFUSED_FEATURES.map((feature) => `${feature}=()`).join(', '),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
  // Each visit asks whether it is still the same, so that page and node are of one version.
  'cache-control': 'no-cache',
  vary: 'accept-encoding',
}

export interface Asset {
  readonly type: string
  readonly etag: string
  /** Undefined: as it is. */
  readonly encoding: string | undefined
  readonly bytes: Buffer
}

export class Assets {
  readonly #folder: string
  readonly #read = new Map<string, Asset>()

  constructor(folder: string = consoleFolder()) {
    this.#folder = folder
  }

  /** `accepted`: the request's `Accept-Encoding`. Throws CONSOLE_MISSING. */
  get(name: AssetName, accepted = ''): Asset {
    const encoding = ENCODINGS.find((each) => accepts(accepted, each.name))
    const file = `${name}${encoding?.ending ?? ''}`
    const asset = this.#read.get(file) ?? this.#load(name, file, encoding?.name)
    this.#read.set(file, asset)
    return asset
  }

  #load(name: AssetName, file: string, encoding: string | undefined): Asset {
    const path = `${this.#folder}/${file}`
    try {
      const bytes = readFileSync(path)
      const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
      return { type: TYPES[name], etag, encoding, bytes }
    } catch (error) {
      throw new WalcastError('CONSOLE_MISSING', { path, detail: messageOf(error) }, error)
    }
  }
}

/** RFC 9110, section 12.5.3. A weight of 0 refuses; which weight is larger does not count. */
function accepts(header: string, name: string): boolean {
  return header.split(',').some((each) => {
    const [coding, ...parameters] = each.split(';').map((part) => part.trim().toLowerCase())
    return coding === name && !parameters.some((part) => /^q=0(\.0*)?$/.test(part))
  })
}
