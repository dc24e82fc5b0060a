/** How large a database is that a planned restore makes. */
import type { Archive } from './archive.ts'
import type { PlannedRestore } from './archiveRestore.ts'

/** Bytes of the database at the largest of the positions that begin and end the plan. */
export async function plannedBytes({ files }: PlannedRestore, archive: Archive): Promise<number> {
  const sizes = [files[0], files[files.length - 1]].map(({ name }) =>
    archive.use(name, async ({ points, header }) =>
      points.reduce((most, { pages }) => Math.max(most, pages * header.pageSize), 0),
    ),
  )
  return Math.max(...(await Promise.all(sizes)))
}
