/**
 * Where `walcast settings` has its values from: an argument, standard input, a terminal, a file. A
 * value to be encrypted never comes from an argument: other users of the machine see arguments, and
 * shells keep them.
 */
import { messageOf } from '../errors.ts'
import { readFileSync } from '../platform/files.ts'
import type { JsonValue, SettingType, SettingValue } from '../settings/settingValue.ts'
import { askSecret } from './secretPrompt.ts'
import { usage } from './usage.ts'

const MAX_INPUT_BYTES = 64 * 1024 * 1024
const STDIN = '-'

/** Throws USAGE. */
export async function settingOf(
  name: string,
  given: string | undefined,
  type: SettingType,
  encrypt: boolean,
): Promise<SettingValue> {
  if (given === STDIN) return typed(await standardInput(), type)
  if (given !== undefined && !encrypt) return typed(Buffer.from(given), type)
  if (given === undefined && process.stdin.isTTY)
    return typed(Buffer.from(await askSecret(name)), type)
  const detail = encrypt
    ? 'a value to be encrypted does not stand on the command line, where other users and the ' +
      `history of the shell keep it: pipe it in, walcast settings set ${name} - --encrypt`
    : 'set takes a name and a value, or - to read the value from standard input'
  throw usage(detail)
}

/** The settings in a file, or on standard input for `-`: one JSON object. Throws USAGE. */
export async function settingsIn(path: string): Promise<readonly (readonly [string, JsonValue])[]> {
  const text = utf8(path === STDIN ? await standardInput() : fileContent(path), path)
  const value = parsed(text, path)
  if (typeof value !== 'object' || value === null || isList(value))
    throw usage(`${path} holds no JSON object of names and values`)
  return Object.entries(value)
}

/** Array.isArray does not narrow lists that are readonly. */
function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value)
}

/** Text loses one line end, which `echo` and files add. */
function typed(content: Buffer, type: SettingType): SettingValue {
  if (type === 'bytes') return content
  const text = utf8(content, 'the value').replace(/\r?\n$/, '')
  return type === 'text' ? text : parsed(text, 'the value')
}

async function standardInput(): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of process.stdin) {
    pieces.push(piece)
    bytes += piece.length
    if (bytes > MAX_INPUT_BYTES) throw usage(`standard input is over ${MAX_INPUT_BYTES} bytes`)
  }
  return Buffer.concat(pieces)
}

function fileContent(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw usage(`cannot read ${path}: ${messageOf(error)}`, error)
  }
}

function utf8(content: Buffer, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
  } catch (error) {
    throw usage(`${what} is not UTF-8 (--type bytes takes any bytes)`, error)
  }
}

/** What JSON.parse says would quote a secret. */
function parsed(text: string, what: string): JsonValue {
  try {
    return JSON.parse(text)
  } catch {
    throw usage(`${what} is not JSON`)
  }
}
