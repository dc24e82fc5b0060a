/** Writes docs/errors.md. */
import { writeFileSync } from 'node:fs'
import { ERRORS_PAGE, errorsPage } from '../errorsPage.ts'

writeFileSync(ERRORS_PAGE, errorsPage())
