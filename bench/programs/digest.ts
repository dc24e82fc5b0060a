/** Prints a SHA-256 over everything that a system holds at one place. */
import { loadClient } from '../clients/clients.ts'
import { Flags, report } from './program.ts'

const flags = new Flags(['client', 'where'])
const client = await loadClient(flags.text('client'))
report({ sha256: await client.digest(flags.text('where')) })
