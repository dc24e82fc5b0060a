/**
 * No route has a schema. Without this, each start loads Fastify's compilers for schemas, a tenth of
 * all code that it loads.
 */
export const NO_SCHEMAS = {
  compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler },
}

function noCompiler(): never {
  throw new Error('a route has a schema, and nothing compiles it')
}
