/**
 * Node's functions on files, those that the rest of `src` uses. What must survive a crash goes
 * through `fileOps.ts`, where each operation has a name.
 */
export {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fchmodSync,
  fdatasyncSync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  read,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  watch,
  writeSync,
} from 'node:fs'
export { open as openAside } from 'node:fs/promises'
