/** Whether a page is valid HTML, as far as a test can tell without a browser. */
import assert from 'node:assert/strict'

const VOID = new Set(['meta', 'link', 'input', 'br', 'hr', 'img'])

export function requireSoundPage(text: string): void {
  assert.match(text, /^<!doctype html>\n<html lang="\w+">/)
  assert.match(text, /<title>[^<]+<\/title>/)
  assert.equal([...text.matchAll(/<h1[ >]/g)].length, 1, 'one main heading')
  requireBalance(text.replace(/<style>[\s\S]*?<\/style>/, ''))
  const ids = [...text.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id)
  assert.equal(new Set(ids).size, ids.length, 'each id once')
  for (const [, id] of text.matchAll(/ (?:for|aria-labelledby)="([^"]*)"/g))
    assert.ok(ids.includes(id), id)
  const labelled = new Set([...text.matchAll(/<label for="([^"]*)"/g)].map(([, id]) => id))
  for (const [tag] of text.matchAll(/<(?:input|select)[^>]*>/g))
    assert.ok(labelled.has(/ id="([^"]*)"/.exec(tag)?.[1] ?? ''), `${tag} has a label`)
}

function requireBalance(text: string): void {
  const open: string[] = []
  for (const [tag, slash, name] of text.matchAll(/<(\/?)([a-z][a-z0-9]*)(?:\s[^<>]*)?>/g)) {
    if (VOID.has(name)) continue
    if (slash === '') open.push(name)
    else assert.equal(open.pop(), name, `${tag} closes what was opened last`)
  }
  assert.deepEqual(open, [])
}
