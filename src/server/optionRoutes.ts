/** `GET /_walcast/options`: the options in force, and the age of keys, without any secret. */
import type { FastifyInstance } from 'fastify'
import { OPTIONS_PATH, type OptionsDesk } from '../api/optionsInForce.ts'

export function addOptionRoutes(app: FastifyInstance, options: OptionsDesk): void {
  app.get(OPTIONS_PATH, async (_request, reply) => {
    void reply.header('cache-control', 'no-store')
    return options.answer()
  })
}
