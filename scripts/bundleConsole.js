/**
 * Makes dist/console: the page of the web console, which is one script, one style sheet, one HTML
 * file and the icon. Each comes compressed as well, so that a node compresses nothing. The sources
 * are in src/console/page.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { licenses } from './licenses.js'
import { smallChart } from './smallChart.js'

const PAGE = 'src/console/page'
const OUT = 'dist/console'

rmSync(OUT, { recursive: true, force: true })
mkdirSync(OUT, { recursive: true })
const { metafile } = await build({
  entryPoints: [
    { in: `${PAGE}/main.ts`, out: 'console' },
    { in: `${PAGE}/style/index.css`, out: 'console' },
  ],
  outdir: OUT,
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: ['chrome111', 'firefox114', 'safari16.4'],
  legalComments: 'none',
  metafile: true,
  plugins: [smallChart],
  logLevel: 'warning',
})
for (const name of ['index.html', 'icon.svg']) copyFileSync(join(PAGE, name), join(OUT, name))
for (const name of readdirSync(OUT)) {
  const path = join(OUT, name)
  const bytes = readFileSync(path)
  writeFileSync(`${path}.br`, brotliCompressSync(bytes))
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }))
}
writeFileSync(join(OUT, 'LICENSES.txt'), licenses(metafile))
