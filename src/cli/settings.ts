/**
 * `walcast settings`: the settings in a database, opened as any program opens it. No node takes
 * part, so it works whether or not one runs.
 */
import Database from 'better-sqlite3'
import { messageOf, WalcastError } from '../errors.ts'
import { statSync } from '../platform/files.ts'
import { keyringBeside } from '../security/keyring.ts'
import { type SettingInfo, type Settings, settings } from '../settings/settings.ts'
import { isSettingType, type SettingValue, shownName } from '../settings/settingValue.ts'
import { databaseError } from '../sqlite/databaseFiles.ts'
import { parseAll } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { settingOf, settingsIn } from './settingsInput.ts'
import { requireFlags, subcommandOf } from './subcommand.ts'
import { table } from './table.ts'
import { type Look, lookOf, timeText } from './terminalLook.ts'
import { usage } from './usage.ts'

const HELP = `walcast settings get NAME
walcast settings set NAME [VALUE] [--encrypt] [--type text|json|bytes]
walcast settings list
walcast settings delete NAME
walcast settings import FILE.json [--encrypt]
walcast settings rotate [--values]

Reads and writes small settings in a table of the database FILE, which is replicated with it.
Opens FILE as any program does, whether or not a node runs. Works on a replica for get and list;
the other commands then say where the leader is.

  get      prints the value, decrypted
  set      writes a value. Without VALUE it asks for one at the terminal; - reads it from standard
           input, without the line end
  list     shows names, sizes and keys, never values
  delete   removes a setting
  import   writes every setting of a JSON object {"name": value, ...} in one transaction; - reads it
           from standard input
  rotate   wraps the data keys by the latest key-encryption key of FILE-walcast/keys

  --db FILE      the database file [WALCAST_DB]
  --table NAME   the table [walcast_settings]
  --encrypt      encrypt the value. It must come from standard input or the terminal: other users
                 see the arguments of a command
  --type TYPE    of the value: text, json or bytes [text]
  --values       also encrypt every value under a new data key
  --wide         of list: cut nothing, and show whole times
  --json         print the result as JSON; bytes in base64
`

export const FLAGS = {
  help: { type: 'boolean' },
  json: { type: 'boolean' },
  encrypt: { type: 'boolean' },
  values: { type: 'boolean' },
  db: { type: 'string' },
  table: { type: 'string' },
  type: { type: 'string' },
  wide: { type: 'boolean' },
} as const

type Flags = ReturnType<typeof parseAll<typeof FLAGS>>['values']

/** What was asked for, once the arguments are known to be right. */
interface Call {
  readonly path: string
  readonly flags: Flags
  /** The name, or the file to import. */
  readonly subject: string
  readonly value: string | undefined
}

interface Result {
  readonly json: unknown
  readonly text: string | Buffer
}

interface Command {
  /** How many arguments it takes. */
  readonly takes: readonly [least: number, most: number]
  readonly flags: readonly (keyof typeof FLAGS)[]
  readonly reads?: true
  run(store: Settings, call: Call): Promise<Result>
}

const COMMANDS: Readonly<Record<string, Command>> = {
  get: { takes: [1, 1], flags: [], reads: true, run: get },
  set: { takes: [1, 2], flags: ['encrypt', 'type'], run: set },
  list: { takes: [0, 0], flags: ['wide'], reads: true, run: list },
  delete: { takes: [1, 1], flags: [], run: remove },
  import: { takes: [1, 1], flags: ['encrypt'], run: importAll },
  rotate: { takes: [0, 0], flags: ['values'], run: rotate },
}
const OF_ALL: readonly string[] = ['help', 'json', 'db', 'table']

export async function runSettings(args: readonly string[]): Promise<number> {
  const { values: flags, positionals } = parseAll(args, FLAGS)
  if (flags.help) {
    showHelp(HELP)
    return 0
  }
  const [name = '', ...rest] = positionals
  const command = subcommandOf(COMMANDS, 'settings', name)
  const call = callOf(name, command, rest, flags)
  const { json, text } = await withDatabase(command, call)
  process.stdout.write(flags.json ? `${JSON.stringify(json)}\n` : text)
  return 0
}

function callOf(name: string, command: Command, rest: readonly string[], flags: Flags): Call {
  const [least, most] = command.takes
  if (rest.length < least || rest.length > most) throw usage(`settings ${name}: ${WANTED[name]}`)
  requireFlags(flags, [...OF_ALL, ...command.flags], `settings ${name}`)
  const path = flags.db ?? process.env['WALCAST_DB']
  if (!path) throw usage('--db FILE is required')
  const [subject = '', value] = rest
  return { path, flags, subject, value }
}

const WANTED: Readonly<Record<string, string>> = {
  get: 'it takes one name',
  set: 'it takes a name and at most one value',
  list: 'it takes no argument',
  delete: 'it takes one name',
  import: 'it takes one file',
  rotate: 'it takes no argument',
}

async function withDatabase(command: Command, call: Call): Promise<Result> {
  const { path, flags } = call
  let db: Database.Database | undefined
  try {
    if (!statSync(path, { throwIfNoEntry: false })) throw new WalcastError('DB_MISSING', { path })
    // A connection that may write empties the WAL when it is the last one to close.
    db = new Database(path, { readonly: command.reads === true, fileMustExist: true })
    const bounds = flags.table === undefined ? {} : { table: flags.table }
    return await command.run(settings(db, keyringBeside(path), bounds), call)
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
    throw databaseError(path, { ok: false, code: error.code, detail: messageOf(error) })
  } finally {
    db?.close()
  }
}

async function get(store: Settings, { subject: name, path }: Call): Promise<Result> {
  const value = store.get(name)
  if (value === undefined) throw missing(name, path)
  const isBytes = Buffer.isBuffer(value)
  const json = { name, type: typeOf(value), value: isBytes ? value.toString('base64') : value }
  if (isBytes) return { json, text: value }
  return { json, text: `${typeof value === 'string' ? value : JSON.stringify(value)}\n` }
}

async function set(store: Settings, { subject: name, value: given, flags }: Call): Promise<Result> {
  const { type = 'text', encrypt = false } = flags
  if (!isSettingType(type)) throw usage('--type wants text, json or bytes')
  store.requireWritable()
  requireStillEncrypted(store, [name], encrypt)
  store.set(name, await settingOf(name, given, type, encrypt), { encrypt })
  const info = store.info(name)
  const how = encrypt ? ', encrypted' : ''
  return { json: info, text: `set ${shownName(name)} (${info?.bytes ?? 0} bytes${how})\n` }
}

async function list(store: Settings, { flags }: Call): Promise<Result> {
  const infos = store.list()
  if (infos.length === 0) return { json: infos, text: 'no settings\n' }
  const look = lookOf(process.stdout, process.env, flags.wide)
  const rows = infos.map((info) => rowOf(info, look))
  return { json: infos, text: table(COLUMNS, rows, look) }
}

const COLUMNS = [
  { heading: 'name', least: 24 },
  'type',
  { heading: 'bytes', isNumber: true },
  'data key',
  'key-encryption key',
  'changed',
]

function rowOf(info: SettingInfo, look: Look): string[] {
  const { name, type, bytes, dataKey, kek, changedAt, encrypted } = info
  const keys = encrypted ? [dataKey ?? '', kek ?? 'missing'] : ['plain', '']
  return [name, type, String(bytes), ...keys, timeText(changedAt, look)]
}

async function remove(store: Settings, { subject: name, path }: Call): Promise<Result> {
  if (!store.delete(name)) throw missing(name, path)
  return { json: { name }, text: `deleted ${shownName(name)}\n` }
}

async function importAll(store: Settings, { subject: file, flags }: Call): Promise<Result> {
  const { encrypt = false } = flags
  store.requireWritable()
  const all = await settingsIn(file)
  const names = all.map(([name]) => name)
  requireStillEncrypted(store, names, encrypt)
  store.setAll(all, { encrypt })
  const count = `${all.length} ${all.length === 1 ? 'setting' : 'settings'}`
  return { json: { settings: all.length }, text: `set ${count}\n` }
}

async function rotate(store: Settings, { flags }: Call): Promise<Result> {
  const done = store.rotate({ values: flags.values === true })
  const text = `data keys wrapped by the latest key: ${done.dataKeys}
values under a new data key: ${done.values}
`
  return { json: done, text }
}

/** A secret does not become plain because a flag was forgotten. Throws USAGE. */
function requireStillEncrypted(store: Settings, names: readonly string[], encrypt: boolean): void {
  const secret = encrypt ? undefined : names.find((name) => store.info(name)?.encrypted)
  if (secret !== undefined)
    throw usage(`${shownName(secret)} is encrypted: give --encrypt, or delete it first`)
}

function typeOf(value: SettingValue): string {
  if (Buffer.isBuffer(value)) return 'bytes'
  return typeof value === 'string' ? 'text' : 'json'
}

function missing(name: string, path: string): WalcastError {
  return new WalcastError('SETTING_MISSING', { name: shownName(name), path })
}
