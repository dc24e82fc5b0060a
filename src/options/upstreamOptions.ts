/** Options of where a node's application is, and how the node knows that it is well. */
import { BOTH, type OptionSpec } from './optionSpec.ts'

export const UPSTREAM_OPTIONS: readonly OptionSpec[] = [
  {
    key: 'proxy',
    flag: 'proxy',
    kind: 'address',
    value: 'HOST:PORT',
    help: 'address of the public side: stands before the application',
    roles: BOTH,
    common: true,
  },
  {
    key: 'upstream',
    flag: 'upstream',
    kind: 'origin',
    value: 'URL',
    help: 'the application of this node, such as http://127.0.0.1:3000',
    roles: BOTH,
    common: true,
  },
  {
    key: 'upstreamCheck',
    flag: 'upstream-check',
    kind: 'target',
    value: 'PATH',
    help:
      'path of the application that answers 200 to 399 when it is well (default: accepting ' +
      'connections is enough)',
    roles: BOTH,
    common: true,
  },
  {
    key: 'upstreamCounts',
    flag: 'upstream-counts',
    kind: 'upstreamCounts',
    value: 'WHERE',
    help:
      'what answers 503 while the application is down: readyz (of --proxy), leader (that, and ' +
      'GET /leader of a leader) or nowhere',
    default: 'readyz',
    roles: BOTH,
  },
  {
    key: 'upstreamEveryMs',
    flag: 'upstream-every',
    kind: 'duration',
    value: 'TIME',
    help: 'time between two checks of an application that answers no requests',
    default: '2s',
    roles: BOTH,
  },
  {
    key: 'upstreamFall',
    flag: 'upstream-fall',
    kind: 'number',
    value: 'N',
    help: 'checks that must fail in a row before the application counts as down',
    default: '3',
    roles: BOTH,
  },
  {
    key: 'upstreamRise',
    flag: 'upstream-rise',
    kind: 'number',
    value: 'N',
    help: 'checks that must succeed in a row before it counts as up again',
    default: '2',
    roles: BOTH,
  },
]
