/**
 * The page and its forms. They work without JavaScript: each form POSTs and is answered by 303 to
 * the page.
 */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { formatPosition, type WalcastNode } from 'walcast'
import type { Collection, Values } from './collection.ts'
import { acceptForms } from './forms.ts'
import type { Inventory } from './inventory.ts'
import { sendPage } from './loginPage.ts'
import { type PageContent, pageOf } from './page.ts'
import { refusalOf } from './refusal.ts'
import { ID_PARAMS, SHAPES, type WithId } from './shapes.ts'

export function addPages(
  app: FastifyInstance,
  inventory: Inventory,
  node: WalcastNode,
  hasLogin: boolean,
): void {
  const send = (reply: FastifyReply, refused?: string) =>
    sendPage(reply, pageOf({ ...contentOf(inventory, node), hasLogin, refused }))
  acceptForms(app)
  app.get('/', async (_request, reply) => send(reply))
  app.post<{ Params: WithId }>(
    '/endpoints/:id/seen',
    { schema: { params: ID_PARAMS } },
    async ({ params }, reply) => {
      inventory.see(params.id)
      return reply.redirect('/', 303)
    },
  )
  addForms(app, 'machines', inventory.machines)
  addForms(app, 'networks', inventory.networks)
  addForms(app, 'endpoints', inventory.endpoints)
  // Shows the page again with the error, so that no form leads to a dead end.
  app.setErrorHandler((error: FastifyError, request: FastifyRequest, reply) => {
    const { status, message } = refusalOf(error)
    if (status < 500 && request.method === 'POST') return send(reply.code(status), message)
    app.log.error(error)
    return reply.code(status).type('text/plain; charset=utf-8').send(`${message}\n`)
  })
}

function addForms<Row extends WithId>(
  app: FastifyInstance,
  name: keyof typeof SHAPES,
  rows: Collection<Row>,
): void {
  app.post<{ Body: Values }>(
    `/${name}`,
    { schema: { body: SHAPES[name].create } },
    async (request, reply) => {
      rows.create(request.body)
      return reply.redirect('/', 303)
    },
  )
  // HTML forms cannot DELETE.
  app.post<{ Params: WithId }>(
    `/${name}/:id/delete`,
    { schema: { params: ID_PARAMS } },
    async ({ params }, reply) => {
      rows.remove(params.id)
      return reply.redirect('/', 303)
    },
  )
}

function contentOf(
  inventory: Inventory,
  node: WalcastNode,
): Omit<PageContent, 'hasLogin' | 'refused'> {
  return {
    node: node.status.node,
    role: node.role,
    position: formatPosition(node.position),
    machines: inventory.machines.list(),
    networks: inventory.networks.list(),
    endpoints: inventory.namedEndpoints(),
    journal: inventory.journal(),
  }
}
