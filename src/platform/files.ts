/**
 * Node's functions on files, those that the rest of `src` uses, so that a simulation can put files
 * of its own in their place (`replaceFiles`). What must survive a crash goes through `fileOps.ts`,
 * where each operation has a name.
 *
 * They are live bindings: call them by name. A module that keeps one in a variable of its own keeps
 * the system's.
 */
import * as fs from 'node:fs'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'

export const constants = fs.constants
/** Room on a disk: nothing that a simulation has. */
export const statfsSync = fs.statfsSync

const SYSTEM = {
  chmodSync: fs.chmodSync,
  closeSync: fs.closeSync,
  copyFileSync: fs.copyFileSync,
  existsSync: fs.existsSync,
  fchmodSync: fs.fchmodSync,
  fchownSync: fs.fchownSync,
  fdatasyncSync: fs.fdatasyncSync,
  fstatSync: fs.fstatSync,
  fsyncSync: fs.fsyncSync,
  ftruncateSync: fs.ftruncateSync,
  lchownSync: fs.lchownSync,
  linkSync: fs.linkSync,
  lstatSync: fs.lstatSync,
  mkdirSync: fs.mkdirSync,
  mkdtempSync: fs.mkdtempSync,
  openSync: fs.openSync,
  readdirSync: fs.readdirSync,
  readFileSync: fs.readFileSync,
  readlinkSync: fs.readlinkSync,
  readSync: fs.readSync,
  realpathSync: fs.realpathSync,
  renameSync: fs.renameSync,
  rmSync: fs.rmSync,
  statSync: fs.statSync,
  unlinkSync: fs.unlinkSync,
  watch: fs.watch,
  writeSync: fs.writeSync,
  /** Those named aside do not hold up the thread. */
  fdatasyncAside: promisify(fs.fdatasync),
  fsyncAside: promisify(fs.fsync),
  openAside: open,
  readAside: promisify(fs.read),
  removeAside: promisify(fs.unlink),
  renameAside: promisify(fs.rename),
  writeAside: promisify(fs.write),
}

export type FileSource = typeof SYSTEM

export let {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fdatasyncAside,
  fdatasyncSync,
  fstatSync,
  fsyncAside,
  fsyncSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openAside,
  openSync,
  readAside,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  removeAside,
  renameAside,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  watch,
  writeAside,
  writeSync,
} = SYSTEM

/**
 * Puts other files in place of the system's for this whole thread, until the function that it gives
 * is called.
 */
export function replaceFiles(other: FileSource): () => void {
  use(other)
  return () => use(SYSTEM)
}

function use(source: FileSource): void {
  ;({
    chmodSync,
    closeSync,
    copyFileSync,
    existsSync,
    fchmodSync,
    fchownSync,
    fdatasyncAside,
    fdatasyncSync,
    fstatSync,
    fsyncAside,
    fsyncSync,
    ftruncateSync,
    lchownSync,
    linkSync,
    lstatSync,
    mkdirSync,
    mkdtempSync,
    openAside,
    openSync,
    readAside,
    readdirSync,
    readFileSync,
    readlinkSync,
    readSync,
    realpathSync,
    removeAside,
    renameAside,
    renameSync,
    rmSync,
    statSync,
    unlinkSync,
    watch,
    writeAside,
    writeSync,
  } = source)
}
