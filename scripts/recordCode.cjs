// Required before a program of dist/bundle: keeps the code that V8 has compiled of it so far as its
// code cache, behind its SHA-256. `scripts/bundle.js` says why.
'use strict'
const { createHash } = require('node:crypto')
const { renameSync, writeFileSync } = require('node:fs')
const { threadId } = require('node:worker_threads')
const vm = require('node:vm')

const EVERY_MS = 200

vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options)
    const cache = `${options.filename}.cache`
    setInterval(() => {
      const written = `${cache}-${process.pid}-${threadId}`
      const code = this.createCachedData()
      writeFileSync(written, Buffer.concat([createHash('sha256').update(code).digest(), code]))
      renameSync(written, cache)
    }, EVERY_MS).unref()
  }
}
