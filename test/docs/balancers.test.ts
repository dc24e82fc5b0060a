/**
 * The recipes for load balancers in docs/application/load-balancer.md, as scripts/torture balancers
 * runs them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { haproxyConfig, nginxConfig } from '../support/balancers.ts'

const NODES = [
  { name: 'a', proxyPort: 18_001, port: 18_470 },
  { name: 'b', proxyPort: 18_002, port: 18_471 },
]

test('balancers check writes at /leader (private) and reads at /readyz (public)', () => {
  const config = haproxyConfig(18_000, NODES)
  const [writes, reads] = config.split(/^backend /m).slice(1)
  assert.match(writes, /^ {4}option httpchk GET \/leader$/m)
  assert.match(reads, /^ {4}option httpchk GET \/readyz$/m)
  assert.doesNotMatch(writes, /retry-on/, 'a write that was sent is not sent again')
  assert.match(config, /^ {4}option http-server-close\n {4}http-reuse never$/m)
  for (const { proxyPort, port } of NODES) {
    assert.match(writes, new RegExp(`127\\.0\\.0\\.1:${proxyPort} check port ${port}$`, 'm'))
    assert.match(reads, new RegExp(`127\\.0\\.0\\.1:${proxyPort} check$`, 'm'))
    for (const backend of [writes, reads])
      assert.match(backend, new RegExp(`[ab]-any 127\\.0\\.0\\.1:${proxyPort} backup$`, 'm'))
  }
})

test('balancers overwrite forwarded headers and pass WebSockets on', () => {
  const nginx = nginxConfig(18_000, NODES)
  for (const header of ['X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'Forwarded'])
    assert.match(nginx, new RegExp(`proxy_set_header ${header} `))
  assert.match(nginx, /proxy_set_header Upgrade \$http_upgrade;/)
  for (const { proxyPort } of NODES)
    assert.match(nginx, new RegExp(`server 127\\.0\\.0\\.1:${proxyPort} `))
  assert.match(
    haproxyConfig(18_000, NODES),
    /del-header \^\(x-forwarded-\.\*\|forwarded\|x-real-ip\)\$ -m reg/,
  )
})
