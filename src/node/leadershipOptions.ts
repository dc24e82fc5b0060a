/** Options of who leads, and of who is told when that changes. */
import { BOTH, type OptionSpec } from '../options/optionSpec.ts'

export const LEADERSHIP_OPTIONS: readonly OptionSpec[] = [
  {
    key: 'onRoleChange',
    flag: 'on-role-change',
    kind: 'command',
    value: 'COMMAND',
    help: "run by /bin/sh at each change of this node's role, with WALCAST_ROLE and others in its environment",
    roles: BOTH,
    common: true,
  },
  {
    key: 'webhook',
    flag: 'webhook',
    kind: 'webhook',
    value: 'URL',
    help: "gets a POST at each change of this node's role, signed with the secret if there is one",
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
