/** The licenses that go with bundled code. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Those of the packages that are in a bundle.
 * @param {import('esbuild').Metafile} made
 */
export function licenses(made) {
  const packages = new Set(
    Object.keys(made.inputs)
      .map((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1])
      .filter((folder) => folder !== undefined),
  )
  return [...packages]
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(
        readFileSync(join(folder, 'package.json'), 'utf8'),
      )
      const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each))
      const text = file ? readFileSync(join(folder, file), 'utf8').trim() : ''
      return `${name} ${version} (${license})\n\n${text}\n`
    })
    .join(`\n${'-'.repeat(80)}\n\n`)
}
