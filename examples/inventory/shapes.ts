/** JSON schemas of what clients send, for the API and for the forms alike. */

const name = { type: 'string', minLength: 1, maxLength: 60, pattern: '\\S' } as const
const id = { type: 'integer', minimum: 1 } as const

const MACHINE = { name, notes: { type: 'string', maxLength: 500 } } as const
const NETWORK = {
  name,
  cidr: { type: 'string', maxLength: 43, pattern: '^[0-9a-fA-F.:]+/\\d{1,3}$' },
} as const
const ENDPOINT = {
  machineId: id,
  networkId: id,
  address: { type: 'string', maxLength: 39, pattern: '^[0-9a-fA-F.:]+$' },
} as const

function shapeOf(properties: object, required: readonly string[]) {
  return {
    create: { type: 'object', properties, required, additionalProperties: false },
    update: { type: 'object', properties, minProperties: 1, additionalProperties: false },
  }
}

export const SHAPES = {
  machines: shapeOf(MACHINE, ['name']),
  networks: shapeOf(NETWORK, ['name', 'cidr']),
  endpoints: shapeOf(ENDPOINT, ['machineId', 'networkId', 'address']),
}

export const ID_PARAMS = { type: 'object', properties: { id }, required: ['id'] }

export interface WithId {
  readonly id: number
}
