/**
 * The folder of certificates that an operator carries to three machines: one folder for each, with
 * all that this machine needs and nothing of the others'. It appears whole or not at all.
 */
import { join } from 'node:path'
import { writeError } from '../errors.ts'
import { type FileOps, systemFileOps } from '../platform/fileOps.ts'
import { mkdirSync, rmSync } from '../platform/files.ts'
import { randomUuid } from '../platform/random.ts'
import type { IssuedCertificate, WitnessCertificates } from './witnessCertificates.ts'

/** Of the folder of the witness. No node may be called so. */
export const WITNESS = 'witness'
/** Names of the files in the folder of the witness and in that of each node. */
export const CA_FILE = 'ca.crt'
export const WITNESS_FILES = { certificate: 'witness.crt', key: 'witness.key' } as const
export const NODE_FILES = { certificate: 'node.crt', key: 'node.key' } as const

/** `path` must not exist. Only the owner may read what it has. Throws DISK_FULL or WRITE_FAILED. */
export async function writeWitnessFolder(
  path: string,
  { ca, witness, nodes }: WitnessCertificates,
  ops: FileOps = systemFileOps,
): Promise<void> {
  const made = `${path}.${randomUuid()}`
  const write = async (
    name: string,
    files: typeof WITNESS_FILES | typeof NODE_FILES,
    issued: IssuedCertificate,
  ) => {
    const folder = join(made, name)
    mkdirSync(folder, { mode: 0o700 })
    await ops.replace(join(folder, CA_FILE), ca, 'witness')
    await ops.replace(join(folder, files.certificate), issued.certificate, 'witness')
    await ops.replace(join(folder, files.key), issued.key, 'witness')
  }
  try {
    mkdirSync(made, { mode: 0o700 })
    await write(WITNESS, WITNESS_FILES, witness)
    for (const [name, issued] of nodes) await write(name, NODE_FILES, issued)
    ops.rename('witness.publish', made, path)
  } catch (error) {
    rmSync(made, { recursive: true, force: true })
    throw writeError(path, error)
  }
}
