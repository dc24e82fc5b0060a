/**
 * The JSON API: `/api/machines`, `/api/networks`, `/api/endpoints`. On a replica the plugin hands
 * what writes to the leader.
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Collection, Values } from './collection.ts'
import type { Inventory } from './inventory.ts'
import { ID_PARAMS, SHAPES, type WithId } from './shapes.ts'

export function addApi(api: FastifyInstance, inventory: Inventory): void {
  addCollection(api, 'machines', inventory.machines)
  addCollection(api, 'networks', inventory.networks)
  addCollection(api, 'endpoints', inventory.endpoints)
  api.post<{ Params: WithId }>(
    '/endpoints/:id/seen',
    { schema: { params: ID_PARAMS } },
    async ({ params }, reply) => inventory.see(params.id) ?? missing(reply),
  )
  api.get('/journal', async () => inventory.journal())
}

function addCollection<Row extends WithId>(
  api: FastifyInstance,
  name: keyof typeof SHAPES,
  rows: Collection<Row>,
): void {
  const { create, update } = SHAPES[name]
  const one = `/${name}/:id`
  api.get(`/${name}`, async () => rows.list())
  api.get<{ Params: WithId }>(
    one,
    { schema: { params: ID_PARAMS } },
    async ({ params }, reply) => rows.find(params.id) ?? missing(reply),
  )
  api.post<{ Body: Values }>(`/${name}`, { schema: { body: create } }, async ({ body }, reply) => {
    const row = rows.create(body)
    return reply.code(201).header('location', `/api/${name}/${row.id}`).send(row)
  })
  api.patch<{ Params: WithId; Body: Values }>(
    one,
    { schema: { params: ID_PARAMS, body: update } },
    async ({ params, body }, reply) => rows.update(params.id, body) ?? missing(reply),
  )
  api.delete<{ Params: WithId }>(
    one,
    { schema: { params: ID_PARAMS } },
    async ({ params }, reply) => (rows.remove(params.id) ? reply.code(204).send() : missing(reply)),
  )
}

function missing(reply: FastifyReply): FastifyReply {
  return reply.code(404).send({ error: 'there is none with that id' })
}
