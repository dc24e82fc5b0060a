/**
 * A key for a node and the certificate that TLS wants with it (RFC 5280). Nodes pin the key, so the
 * certificate says nothing: one name, no end, signed by its own key.
 */
import { generateKeyPairSync } from 'node:crypto'
import { signCertificate } from './certificate.ts'

/** A new EC P-256 key (PKCS 8) and its certificate, both PEM. */
export function makeSelfSigned(name: string): {
  readonly key: string
  readonly certificate: string
} {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: signCertificate({ subject: name, issuer: name, publicKey }, privateKey),
  }
}
