/**
 * The keys of an S3 store, from where the tools of AWS have them: the environment, or else the
 * shared credentials file. They are in no place, no option, no log line and no error.
 */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { messageOf, systemCode, WalcastError } from '../../../errors.ts'
import { openSync } from '../../../platform/files.ts'
import { readOpened } from '../../../security/privateFile.ts'

export interface S3Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of keys that expire. */
  readonly sessionToken: string | undefined
}

const MAX_FILE_BYTES = 256 * 1024
/** What an HTTP header can carry. */
const PRINTED = /^[\x21-\x7e]{1,8192}$/
/** It is signed as part of a path. */
const KEY_ID = /^[\x21-\x2b\x2d\x2e\x30-\x7e]{1,256}$/

/** Reads the keys again when a store no longer takes them: others may replace those of a file. */
export class S3Credentials {
  readonly #environment: NodeJS.ProcessEnv
  #keys: S3Keys

  /** Throws STORE_KEYS or SECRET_SHARED. */
  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment
    this.#keys = readKeys(environment)
  }

  get keys(): S3Keys {
    return this.#keys
  }

  /** Whether there are others than `refused` now. Throws STORE_KEYS or SECRET_SHARED. */
  renew(refused: S3Keys): boolean {
    this.#keys = readKeys(this.#environment)
    return (
      this.#keys.accessKeyId !== refused.accessKeyId ||
      this.#keys.secretAccessKey !== refused.secretAccessKey ||
      this.#keys.sessionToken !== refused.sessionToken
    )
  }
}

function readKeys(environment: NodeJS.ProcessEnv): S3Keys {
  const id = environment['AWS_ACCESS_KEY_ID']
  const secret = environment['AWS_SECRET_ACCESS_KEY']
  if (id && secret) return checked(id, secret, environment['AWS_SESSION_TOKEN'], 'the environment')
  if (id || secret) throw unusable('only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set')
  return fromFile(environment)
}

function fromFile(environment: NodeJS.ProcessEnv): S3Keys {
  const path =
    environment['AWS_SHARED_CREDENTIALS_FILE'] ||
    join(environment['HOME'] || homedir(), '.aws', 'credentials')
  const profile = environment['AWS_PROFILE'] || 'default'
  const values = profileIn(readFile(path), profile)
  if (!values) throw unusable(`${path} has no profile [${profile}]`)
  const id = values.get('aws_access_key_id')
  const secret = values.get('aws_secret_access_key')
  if (!id || !secret)
    throw unusable(`[${profile}] in ${path} lacks aws_access_key_id or aws_secret_access_key`)
  return checked(id, secret, values.get('aws_session_token'), path)
}

function readFile(path: string): string {
  try {
    return readOpened(openSync(path, 'r'), path, { maxBytes: MAX_FILE_BYTES })
  } catch (error) {
    if (error instanceof WalcastError) throw error
    if (systemCode(error) === 'ENOENT')
      throw unusable(`AWS_ACCESS_KEY_ID is not set, and there is no file ${path}`, error)
    throw unusable(messageOf(error), error)
  }
}

/** The values below the line `[profile]`; undefined when there is no such line. */
function profileIn(text: string, profile: string): ReadonlyMap<string, string> | undefined {
  let found: Map<string, string> | undefined
  let isIn = false
  for (const line of text.split(/\r?\n/)) {
    const heading = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line)
    if (heading) isIn = heading[1] === profile
    if (isIn) found ??= new Map()
    const at = line.indexOf('=')
    const isValue = isIn && !heading && at > 0 && !/^\s*[#;]/.test(line)
    if (isValue) found?.set(line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim())
  }
  return found
}

function checked(
  accessKeyId: string,
  secretAccessKey: string,
  sessionToken: string | undefined,
  where: string,
): S3Keys {
  const isToken = !sessionToken || PRINTED.test(sessionToken)
  if (!KEY_ID.test(accessKeyId) || !PRINTED.test(secretAccessKey) || !isToken)
    throw unusable(`a key in ${where} has characters that no request can carry`)
  return { accessKeyId, secretAccessKey, sessionToken: sessionToken || undefined }
}

function unusable(detail: string, cause?: unknown): WalcastError {
  return new WalcastError('STORE_KEYS', { detail }, cause)
}
