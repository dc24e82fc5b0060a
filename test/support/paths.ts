import { fileURLToPath } from 'node:url'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** Paths are relative to dist/test/support. */
export const CLI = path('../../bundle/cli/main.js')
export const PROGRAMS = path('./programs')
export const PYTHON_PROGRAMS = path('../../../test/support/py')
export const PYTHON = process.env['PYTHON'] ?? 'python3'

/** Python starts in half the time when it looks for no packages and no settings of the user. */
export const BARE = ['-I', '-S']
