/** Writes docs/errors.md anew. */
import { writeFileSync } from 'node:fs'
import { ERRORS_PAGE, errorsPage } from '../errorsPage.ts'

writeFileSync(ERRORS_PAGE, errorsPage())
