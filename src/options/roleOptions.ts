/** Options about which node leads, and about who is told of a change. */
import { BOTH, type OptionSpec } from './optionSpec.ts'

export const ROLE_OPTIONS: readonly OptionSpec[] = [
  {
    key: 'peers',
    flag: 'peers',
    kind: 'addresses',
    value: 'LIST',
    help: 'HOST:PORT,... of nodes to ask who leads, beside those that this one has met',
    default: '',
    roles: BOTH,
    common: true,
  },
  {
    key: 'peerTimeoutMs',
    flag: 'peer-timeout',
    kind: 'duration',
    value: 'TIME',
    help:
      'how long to wait for the answer of another node; a leader that starts may let no one ' +
      'write for so long',
    default: '1s',
    roles: BOTH,
  },
  {
    key: 'peerLookMs',
    flag: 'peer-look',
    kind: 'duration',
    value: 'TIME',
    help: 'how often nodes that are not connected are asked who leads',
    default: '2s',
    roles: BOTH,
  },
  {
    key: 'switchoverTimeoutMs',
    flag: 'switchover-timeout',
    kind: 'duration',
    value: 'TIME',
    help: 'how long writes may be held while the leader hands over; then it carries on',
    default: '5s',
    roles: BOTH,
  },
  {
    key: 'frozenMs',
    flag: 'frozen-after',
    kind: 'duration',
    value: 'TIME',
    help: 'a leader that stood still for so long asks the others before it takes the next write',
    default: '2s',
    roles: BOTH,
  },
  {
    key: 'fenceWhenAloneMs',
    flag: 'fence-when-alone',
    kind: 'duration',
    value: 'TIME',
    help:
      'a leader that hears no replica for so long takes no writes until it hears one (default: ' +
      'never)',
    roles: BOTH,
    common: true,
  },
]
export const LEADERSHIP_OPTIONS: readonly OptionSpec[] = [
  {
    key: 'onRoleChange',
    flag: 'on-role-change',
    kind: 'command',
    value: 'COMMAND',
    help:
      "run by /bin/sh at each change of this node's role, with WALCAST_ROLE and others in " +
      'its environment',
    roles: BOTH,
    common: true,
  },
  {
    key: 'webhook',
    flag: 'webhook',
    kind: 'webhook',
    value: 'URL',
    help:
      "gets a POST at each change of this node's role, signed if there is a secret: " +
      'see walcast webhook-key',
    roles: BOTH,
    common: true,
  },
  {
    key: 'hookTimeoutMs',
    flag: 'hook-timeout',
    kind: 'duration',
    value: 'TIME',
    help: 'how long the command of --on-role-change, or one POST to --webhook, may take',
    default: '30s',
    roles: BOTH,
  },
]
