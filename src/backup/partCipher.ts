/** How the parts of an archive file are encrypted after compression, or that they are not. */
import { type ArchiveHeader, encodeArchiveHeader } from '../../proto/archiveHeader.ts'
import { WalcastError } from '../errors.ts'
import type { BackupIdentity, BackupRecipient } from '../security/backupKeys.ts'
import { fileKeyOf, newFileKey, PartSeal, type SealedPart } from '../security/sealedFile.ts'
import { type ArchiveEnvelope, broken } from './archiveEnvelope.ts'
import type { RecentKeys } from './recentKeys.ts'

export interface PartCipher {
  seal(part: SealedPart, bytes: Buffer): Buffer
  /** Undefined when it is not what was sealed there. */
  open(part: SealedPart, stored: Buffer): Buffer | undefined
}

const PLAIN: PartCipher = { seal: (_, bytes) => bytes, open: (_, stored) => stored }

/** The header of a new file, and how its parts are encrypted. `keys` holds the key of the file. */
export function beginParts(
  header: ArchiveHeader,
  recipients: readonly BackupRecipient[] | undefined,
  keys?: RecentKeys,
): { readonly bytes: Buffer; readonly cipher: PartCipher } {
  if (!recipients) return { bytes: encodeArchiveHeader(header), cipher: PLAIN }
  const { fileKey, seal } = newFileKey(recipients)
  const bytes = encodeArchiveHeader(header, seal)
  keys?.hold(bytes, fileKey)
  return { bytes, cipher: new PartSeal(fileKey, bytes) }
}

/**
 * Throws ARCHIVE_LOCKED when none of `identities` is a recipient and `keys` do not hold its key, or
 * ARCHIVE_BROKEN.
 */
export function unlockParts(
  envelope: ArchiveEnvelope,
  identities: readonly BackupIdentity[],
  recent?: RecentKeys,
): PartCipher {
  const { seal, headerBytes } = envelope
  if (!seal) return PLAIN
  const own = recent?.keyOf(headerBytes)
  if (own) return new PartSeal(own, headerBytes)
  const keys = identities.map((identity) => fileKeyOf(seal, identity))
  const fileKey = keys.find((key) => typeof key !== 'string')
  if (fileKey instanceof Buffer) return new PartSeal(fileKey, headerBytes)
  if (keys.includes('broken')) throw broken(envelope, 'the key in its header was changed')
  throw locked(envelope, identities)
}

function locked(
  { name, recipients }: ArchiveEnvelope,
  identities: readonly BackupIdentity[],
): WalcastError {
  const given = identities.map(({ recipient }) => recipient.id).join(', ')
  return new WalcastError('ARCHIVE_LOCKED', {
    name,
    recipients: recipients.join(', '),
    detail: given === '' ? 'no identity was given' : `the identity that was given is ${given}`,
  })
}
