/**
 * Options that bound clients: how many may connect, how long each may keep the node waiting, and
 * which proxies the node believes.
 */
import { BOTH, type OptionSpec } from './optionSpec.ts'

export const CROWD_OPTIONS: readonly OptionSpec[] = [
  {
    key: 'trustedProxies',
    flag: 'trusted-proxies',
    kind: 'networks',
    value: 'NETWORKS',
    help:
      'proxies whose X-Forwarded-For, -Proto and -Host are believed: ADDRESS or ' +
      'ADDRESS/BITS, comma-separated, beside loopback; none: not even that',
    default: 'loopback',
    roles: BOTH,
    common: true,
  },
  {
    key: 'maxConnections',
    flag: 'max-connections',
    kind: 'number',
    value: 'N',
    help:
      'connections at --proxy, and as many at --listen; above that the one that is idle for ' +
      'longest is closed',
    default: '4000',
    roles: BOTH,
  },
  {
    key: 'maxClientConnections',
    flag: 'max-client-connections',
    kind: 'number',
    value: 'N',
    help:
      'connections of one client at the proxy: an address, or a /64 network of IPv6; a ' +
      'trusted proxy has no such bound',
    default: '1000',
    roles: BOTH,
  },
  {
    key: 'maxClientRequests',
    flag: 'max-client-requests',
    kind: 'number',
    value: 'N',
    help: 'requests of one client under way at the proxy, and as many upgraded connections',
    default: '500',
    roles: BOTH,
  },
  {
    key: 'maxUpgrades',
    flag: 'max-upgrades',
    kind: 'number',
    value: 'N',
    help:
      'upgraded connections (WebSockets) of clients at --proxy, and as many of other nodes ' +
      'at --listen',
    default: '1000',
    roles: BOTH,
  },
  {
    key: 'maxPipelined',
    flag: 'max-pipelined',
    kind: 'number',
    value: 'N',
    help: 'requests on one connection before the first of them is answered; past that it is cut',
    default: '100',
    roles: BOTH,
  },
  {
    key: 'maxNodeRequests',
    flag: 'max-node-requests',
    kind: 'number',
    value: 'N',
    help: 'requests of one other node under way at --listen',
    default: '1000',
    roles: BOTH,
  },
  {
    key: 'headTimeoutMs',
    flag: 'head-timeout',
    kind: 'duration',
    value: 'TIME',
    help: "how long the head of a request may take, from the connection's start or the first byte",
    default: '30s',
    roles: BOTH,
  },
  {
    key: 'bodyTimeoutMs',
    flag: 'body-timeout',
    kind: 'duration',
    value: 'TIME',
    help: "how long a request's body may bring nothing",
    default: '30s',
    roles: BOTH,
  },
  {
    key: 'sendTimeoutMs',
    flag: 'send-timeout',
    kind: 'duration',
    value: 'TIME',
    help: 'how long a client may read nothing of what was sent to it',
    default: '30s',
    roles: BOTH,
  },
  {
    key: 'verboseErrors',
    flag: 'verbose-errors',
    kind: 'flag',
    value: '',
    help:
      'tell clients of the application the addresses and ids in an error, which otherwise go ' +
      "only to this node's log",
    default: 'false',
    roles: BOTH,
  },
]
