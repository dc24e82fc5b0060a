/**
 * The key by which this node is known, and its self-signed certificate: EC P-256, in
 * `FILE-walcast/keys/`, readable by the owner only. Others pin the fingerprint of the key, so the
 * certificate's names and dates mean nothing between nodes.
 */
import { createHash, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { messageOf, systemCode, WalcastError } from '../errors.ts'
import { type FileOps, makeFolder } from '../platform/fileOps.ts'
import { lstatSync, openSync } from '../platform/files.ts'
import { strangeFile } from '../platform/plainFiles.ts'
import { readOpened } from './privateFile.ts'
import { makeSelfSigned } from './selfSigned.ts'

export interface NodeKeys {
  /** PEM. */
  readonly key: string
  /** PEM; the chain of an operator's certificate may follow. */
  readonly certificate: string
  /** SHA-256 of the public key (SPKI, DER), 64 hex digits. */
  readonly fingerprint: string
}

/** No file of ours, and no operator's chain, is longer. */
const MAX_PEM_BYTES = 256 * 1024

/** SHA-256 of a public key (SPKI, DER), 64 hex digits. */
export function fingerprintOf(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex')
}

/** Folder of the keys in a node's folder. */
export function keysFolder(stateFolder: string): string {
  return `${stateFolder}/keys`
}

/** The certificate that a node makes for itself, in its folder. */
export function ownCertificate(stateFolder: string): string {
  return `${keysFolder(stateFolder)}/node.crt`
}

/** Whoever makes the folder a link decides what this node trusts. Throws STRANGE_FILE. */
export function requireFolder(folder: string): void {
  const found = lstatSync(folder, { throwIfNoEntry: false })
  if (found && !found.isDirectory()) throw strangeFile(folder, 'something else than a folder')
}

/**
 * The keys in a node's folder; makes them at the first start. Throws KEYS_BROKEN, SECRET_SHARED,
 * STRANGE_FILE, DISK_FULL or WRITE_FAILED.
 */
export async function openNodeKeys(stateFolder: string, ops: FileOps): Promise<NodeKeys> {
  const folder = keysFolder(stateFolder)
  requireFolder(folder)
  makeFolder(folder)
  const [keyPath, certificatePath] = [`${folder}/node.key`, ownCertificate(stateFolder)]
  const key = readPem(keyPath)
  if (key !== undefined) {
    const certificate = readPem(certificatePath)
    if (certificate !== undefined) return keysOf(key, certificate, keyPath)
  }
  const made = makeKeys()
  // The certificate comes first: a key whose certificate is missing is made anew.
  await ops.replace(certificatePath, made.certificate, 'keys')
  await ops.replace(keyPath, made.key, 'keys')
  return made
}

/** Checks that the two belong together. `path` is named in errors. Throws KEYS_BROKEN. */
export function keysOf(key: string, certificate: string, path: string): NodeKeys {
  try {
    const own = createPublicKey(key)
    const fingerprint = fingerprintOf(own)
    if (fingerprintOf(new X509Certificate(certificate).publicKey) !== fingerprint)
      throw new Error('the certificate is that of another key')
    return { key, certificate, fingerprint }
  } catch (error) {
    throw new WalcastError('KEYS_BROKEN', { path, detail: messageOf(error) }, error)
  }
}

/**
 * Reads a file; undefined when there is none. `isPrivate`: nobody but the owner may read it. Throws
 * KEYS_BROKEN or SECRET_SHARED.
 */
export function readPem(path: string, isPrivate = true): string | undefined {
  try {
    return readOpened(openSync(path, 'r'), path, { maxBytes: MAX_PEM_BYTES, isPrivate })
  } catch (error) {
    if (error instanceof WalcastError) throw error
    if (systemCode(error) === 'ENOENT') return undefined
    throw new WalcastError('KEYS_BROKEN', { path, detail: messageOf(error) }, error)
  }
}

/** A new key and its certificate. */
export function makeKeys(): NodeKeys {
  const { key, certificate } = makeSelfSigned('walcast')
  return keysOf(key, certificate, 'a new key')
}
