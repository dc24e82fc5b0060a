/** The files of the page as the build makes them: small, whole, and nothing from elsewhere. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { ASSETS, Assets, PAGE_HEADERS } from '../../src/console/assets.ts'
import { consoleFolder } from '../../src/programs.ts'

/** As a browser gets them that takes gzip only; brotli is smaller. */
const MAX_SENT_BYTES = 60_000
/** Of the files as they are. */
const MAX_BYTES = 150_000
const NAMES = [...ASSETS.values()]

test('all files together are small, the chart included', () => {
  const assets = new Assets()
  const bytesAs = (encodings: string) =>
    NAMES.reduce((sum, name) => sum + assets.get(name, encodings).bytes.length, 0)
  const [bytes, sent] = [bytesAs(''), bytesAs('gzip')]
  assert.ok(bytes < MAX_BYTES && sent < MAX_SENT_BYTES, `${bytes} bytes, ${sent} as sent`)
  assert.match(new Assets().get('console.js').bytes.toString(), /u-over/)
})

test('nothing else is built, and each file comes compressed as the browser asks', () => {
  const built = NAMES.flatMap((name) => [name, `${name}.br`, `${name}.gz`])
  assert.deepEqual(readdirSync(consoleFolder()).sort(), [...built, 'LICENSES.txt'].sort())
  assert.match(readFileSync(join(consoleFolder(), 'LICENSES.txt'), 'utf8'), /^uplot .*\(MIT\)/m)
  const assets = new Assets()
  for (const name of NAMES) {
    const plain = assets.get(name).bytes
    const br = assets.get(name, 'gzip, deflate, br')
    const gzip = assets.get(name, 'br;q=0, gzip;q=0.5')
    assert.deepEqual([br.encoding, gzip.encoding], ['br', 'gzip'])
    assert.ok(brotliDecompressSync(br.bytes).equals(plain))
    assert.ok(gunzipSync(gzip.bytes).equals(plain))
    assert.equal(new Set([br.etag, gzip.etag, assets.get(name).etag]).size, 3)
    assert.equal(assets.get(name, 'br'), assets.get(name, 'br'))
    for (const header of ['', 'identity', 'brotli', 'xbr', 'br;q=0', 'br; q=0.00'])
      assert.equal(assets.get(name, header).encoding, undefined, header)
  }
})

test('a folder without the files is an error that says how to make them', () => {
  assert.throws(() => new Assets('/nowhere').get('index.html'), { code: 'WALCAST_CONSOLE_MISSING' })
})

test('the page asks nobody else, and has no script or style of its own', () => {
  const html = readFileSync(join(consoleFolder(), 'index.html'), 'utf8')
  assert.doesNotMatch(html, /https?:|<style|style=|\son\w+=|<script(?![^>]*src=)/)
  const css = readFileSync(join(consoleFolder(), 'console.css'), 'utf8')
  assert.doesNotMatch(css, /url\(|@import/)
  const js = readFileSync(join(consoleFolder(), 'console.js'), 'utf8')
  assert.doesNotMatch(js, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/)
  const urls = [...js.matchAll(/https?:\/\/[\w./]+/g)].map(([url]) => url)
  assert.deepEqual([...new Set(urls)], ['http://www.w3.org/2000/svg'])
  assert.doesNotMatch(PAGE_HEADERS['content-security-policy'] ?? '', /unsafe|\*|http/)
})
