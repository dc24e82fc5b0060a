/** Options about automatic failover: by which lock service, and which node may lead. */
import { BOTH, type OptionSpec } from './optionSpec.ts'

export const ELECTION_OPTIONS: readonly OptionSpec[] = [
  {
    key: 'election',
    flag: 'election',
    kind: 'election',
    value: 'WHICH',
    help:
      'who decides which node leads: operators (static), or a lease in etcd, consul or an object ' +
      'store (s3://BUCKET/PREFIX), by which nodes fail over by themselves',
    default: 'static',
    roles: BOTH,
    common: true,
  },
  {
    key: 'etcd',
    flag: 'etcd',
    kind: 'origins',
    value: 'URLS',
    help: 'the members of etcd, such as https://10.0.0.1:2379,https://10.0.0.2:2379',
    roles: BOTH,
    common: true,
  },
  {
    key: 'consul',
    flag: 'consul',
    kind: 'origin',
    value: 'URL',
    help:
      'the Consul agent on this machine, such as http://127.0.0.1:8500; its token is in ' +
      'WALCAST_ELECTION_PASSWORD or ..._PASSWORD_FILE',
    roles: BOTH,
  },
  {
    key: 'electionPrefix',
    flag: 'election-prefix',
    kind: 'text',
    value: 'NAME',
    help: 'what the keys in the lock service begin with, before the id of the cluster',
    default: 'walcast',
    roles: BOTH,
  },
  {
    key: 'electionUser',
    flag: 'election-user',
    kind: 'text',
    value: 'NAME',
    help: 'user of etcd; its password is in WALCAST_ELECTION_PASSWORD or ..._PASSWORD_FILE',
    roles: BOTH,
  },
  {
    key: 'electionCa',
    flag: 'election-ca',
    kind: 'path',
    value: 'FILE',
    help: 'certificates, in PEM, by which the lock service is known; without it those of Node',
    roles: BOTH,
  },
  {
    key: 'electionCert',
    flag: 'election-cert',
    kind: 'path',
    value: 'FILE',
    help: 'certificate, in PEM, by which the lock service knows this node',
    roles: BOTH,
  },
  {
    key: 'electionKey',
    flag: 'election-key',
    kind: 'path',
    value: 'FILE',
    help: 'its private key, in PEM',
    roles: BOTH,
  },
  {
    key: 'ttlMs',
    flag: 'ttl',
    kind: 'duration',
    value: 'TIME',
    help:
      'how long the lease of a leader lasts that is heard no more: another node leads soon after ' +
      'that; the same on all nodes',
    default: '5s',
    least: '1s',
    roles: BOTH,
    common: true,
  },
  {
    key: 'maxLoss',
    flag: 'max-loss',
    kind: 'number',
    value: 'N',
    help:
      'a node that may lack more transactions than this is not promoted by itself (default: 0 ' +
      'when the leader acknowledges writes that others hold, see --ack; else any number)',
    roles: BOTH,
  },
  {
    key: 'priority',
    flag: 'priority',
    kind: 'number',
    value: 'N',
    help: 'of nodes that are equally far, the one with the highest leads',
    default: '0',
    roles: BOTH,
  },
  {
    key: 'neverLead',
    flag: 'never-lead',
    kind: 'flag',
    value: '',
    help: 'this node is never promoted by itself',
    roles: BOTH,
  },
]
