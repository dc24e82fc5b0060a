/** What a client is told of an error. */
import type { FastifyError } from 'fastify'

export interface Refusal {
  readonly status: number
  readonly message: string
}

const BY_CODE: Readonly<Record<string, Refusal>> = {
  SQLITE_CONSTRAINT_UNIQUE: {
    status: 409,
    message: 'there is one of that name or address already',
  },
  SQLITE_CONSTRAINT_FOREIGNKEY: { status: 409, message: 'there is no such machine or network' },
}

export function refusalOf(error: FastifyError): Refusal {
  const known = BY_CODE[error.code]
  if (known) return known
  const status = error.statusCode ?? 500
  return { status, message: status < 500 ? error.message : 'something went wrong here' }
}
