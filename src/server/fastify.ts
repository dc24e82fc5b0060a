/**
 * Fastify, required: an import would have Node parse all of its CommonJS for the names of its
 * exports, a tenth of a node's start.
 */
import { createRequire } from 'node:module'

export const { fastify } = createRequire(import.meta.url)('fastify') as typeof import('fastify')
