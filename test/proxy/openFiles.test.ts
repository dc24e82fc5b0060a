/** Bounds of connections and requests stay within the file descriptors that a process may have. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { boundsWithin, openFilesLimit } from '../../src/proxy/openFiles.ts'

const DEFAULTS = { maxConnections: 4000, maxRequests: 2000, maxUpgrades: 1000 }

test('full bounds leave descriptors for the database, and none is raised', () => {
  const count = fc.integer({ min: 1, max: 100_000 })
  const wanted = fc.record({ maxConnections: count, maxRequests: count, maxUpgrades: count })
  fc.assert(
    fc.property(fc.integer({ min: 600, max: 1_000_000 }), wanted, (openFiles, given) => {
      const { maxConnections, maxNodeConnections, maxRequests, maxUpgrades } = boundsWithin(
        openFiles,
        given,
      )
      // Clients, nodes, and the application's side of both.
      const taken = maxConnections + maxNodeConnections + 2 * (maxRequests + maxUpgrades)
      assert.ok(taken <= openFiles - 200, `${taken} of ${openFiles}`)
      assert.ok(
        maxConnections <= given.maxConnections && maxNodeConnections <= given.maxConnections,
      )
      assert.ok(maxRequests <= given.maxRequests && maxUpgrades <= given.maxUpgrades)
      assert.ok(Math.min(maxConnections, maxNodeConnections, maxRequests, maxUpgrades) >= 1)
    }),
    { numRuns: 2000 },
  )
})

test('the defaults fit into 20,000 descriptors', () => {
  const { maxConnections, maxRequests, maxUpgrades } = boundsWithin(20_000, DEFAULTS)
  assert.deepEqual({ maxConnections, maxRequests, maxUpgrades }, DEFAULTS)
  assert.ok(openFilesLimit() > 100)
  assert.equal(openFilesLimit('/nowhere'), Number.POSITIVE_INFINITY)
  assert.equal(boundsWithin(Number.POSITIVE_INFINITY, DEFAULTS).maxConnections, 4000)
})
