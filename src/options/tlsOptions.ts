/** How nodes keep what they tell each other from others. */
import { BOTH, type OptionSpec } from './optionSpec.ts'

export const TLS_OPTIONS: readonly OptionSpec[] = [
  {
    key: 'tls',
    flag: 'tls',
    kind: 'flag',
    value: '',
    help: 'take only TLS at --listen on this machine too (beyond it, that is the default)',
    roles: BOTH,
  },
  {
    key: 'plaintext',
    flag: 'plaintext',
    kind: 'flag',
    value: '',
    help:
      'take plain text at --listen beyond this machine: whoever is on the way between two nodes ' +
      'reads the database and what is forwarded, and changes what is forwarded',
    roles: BOTH,
  },
  {
    key: 'oldSignatures',
    flag: 'old-signatures',
    kind: 'flag',
    value: '',
    help:
      'only while a cluster is changed node by node: talk to nodes of the version before keys as ' +
      'well, in plain text. They prove nothing: who answers like one is believed, and a stranger ' +
      'on the network can take the place of a node, lead, and read the database',
    roles: BOTH,
  },
  {
    key: 'tlsCert',
    flag: 'tls-cert',
    kind: 'path',
    value: 'FILE',
    help:
      "certificate of this node (PEM, the issuers' after it) in place of the one that it makes " +
      'itself; loaded again when it changes, and on SIGHUP',
    roles: BOTH,
  },
  {
    key: 'tlsKey',
    flag: 'tls-key',
    kind: 'path',
    value: 'FILE',
    help: 'key of that certificate (PEM); only the owner may read the file',
    roles: BOTH,
  },
  {
    key: 'tlsCa',
    flag: 'tls-ca',
    kind: 'path',
    value: 'FILE',
    help:
      "certificates of the authority (PEM) that vouches for the other nodes' certificates, in " +
      'place of their pinned keys',
    roles: BOTH,
  },
  {
    key: 'handshakeTimeoutMs',
    flag: 'handshake-timeout',
    kind: 'duration',
    value: 'TIME',
    help: 'how long a TLS handshake at --listen may take',
    default: '10s',
    least: '100ms',
    roles: BOTH,
  },
]
