/** Each route of the private side has a least role. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import { LEAST_ROLES, leastRole, requireLeastRoles } from '../../src/server/leastRoles.ts'

const answer = async () => ({})

test('a route without a role cannot be added', () => {
  const app = Fastify()
  requireLeastRoles(app)
  for (const key of [...Object.keys(LEAST_ROLES), 'GET /livez', 'GET /_walcast/proof']) {
    const [method, url] = key.split(' ')
    app.route({ method, url, handler: answer })
  }
  assert.throws(() => app.get('/_walcast/new', answer), /GET \/_walcast\/new is not in the table/)
  assert.throws(() => app.post('/_walcast/status', answer), /POST \/_walcast\/status is not in/)
})

test('what changes something never needs less than what looks', () => {
  for (const [route, least] of Object.entries(LEAST_ROLES))
    assert.equal(route.startsWith('GET ') && least === 'read', least === 'read', route)
  for (const path of ['/livez', '/readyz', '/leader', '/replica', '/metrics', '/_walcast/proof'])
    assert.equal(leastRole('GET', path), 'public')
  assert.equal(leastRole('HEAD', '/_walcast/status'), 'read')
  assert.equal(leastRole('GET', 'constructor'), undefined)
})
