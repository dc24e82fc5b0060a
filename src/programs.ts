/**
 * Where the programs lie that walcast starts as processes or threads of their own. They are found
 * from this file, so it is compiled to the top of both trees: `dist/src`, which mirrors `src`, and
 * `dist/bundle`, where all that a program needs is one file, so that it starts in a third of the
 * time (see `scripts/bundle.js`).
 */
import { fileURLToPath } from 'node:url'

/** The programs of this package, by their path below `src` or beside it, without extension. */
export type Program =
  | 'cli/main'
  | 'cli/demo/guard'
  | 'cli/demo/proof'
  | 'cli/demo/writer'
  | 'sqlite/sqliteWorker'
  | 'replica/diverged/keptRowsProgram'
  | 'replica/diverged/keptReadProgram'
  | 'backup/drill/drillProgram'
  | 'backup/dated/datedCheckProgram'
  | 'backup/past/pastProgram'
  | '../src/backup/past/queryWorker'
  | '../bench/main'

/** Path of a program's compiled file. */
export function programPath(program: Program): string {
  return fileURLToPath(new URL(`./${program}.js`, import.meta.url))
}

/** Path of the folder with the files of the console's page. */
export function consoleFolder(): string {
  return fileURLToPath(new URL('../console', import.meta.url))
}

/** Path of the package.json of this package. */
export function manifestPath(): string {
  return fileURLToPath(new URL('../../package.json', import.meta.url))
}
