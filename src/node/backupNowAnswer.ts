/** What another node answers to `POST /_walcast/backup`. */
import { formatPosition, type Position, parsePosition } from '../../proto/position.ts'
import type { BackupNowAnswer, PlaceNow } from '../api/backupNow.ts'
import { Fields } from '../cluster/checkedFields.ts'
import { isNodeId } from '../nodeId.ts'
import { plainText } from '../plainText.ts'

/** A folder's path, or the URL of a bucket. */
const MAX_PLACE_CHARS = 4096
const MAX_PLACES = 64
const MAX_NAME_CHARS = 256

/** `asked`: the position that was asked for. Throws an Error that says what is wrong. */
export function parseBackupNow(value: unknown, asked: Position): BackupNowAnswer {
  const what = 'what it archived'
  const fields = new Fields(value, what)
  const node = fields.text('node', MAX_NAME_CHARS)
  if (!isNodeId(node)) throw new Error(`node of ${what} is no id of a node`)
  const position = fields.text('position', MAX_NAME_CHARS)
  if (position !== formatPosition(asked)) throw new Error(`position of ${what} is another one`)
  const places = fields.list('places', MAX_PLACES, placeIn)
  return { node, position, places, tookMs: fields.count('tookMs') }
}

function placeIn(fields: Fields): PlaceNow {
  const position = fields.text('position', MAX_NAME_CHARS)
  if (position !== '' && !parsePosition(position))
    throw new Error('the position of a place is not EPOCH-TXID')
  return {
    // It goes to a terminal.
    place: plainText(fields.text('place', MAX_PLACE_CHARS), MAX_PLACE_CHARS),
    position,
    bytes: fields.count('bytes'),
    ...textIfThere(fields, 'at'),
    ...textIfThere(fields, 'snapshot'),
  }
}

function textIfThere<Name extends string>(
  fields: Fields,
  name: Name,
): Partial<Record<Name, string>> {
  if (fields.value(name) === undefined) return {}
  return { [name]: fields.plain(name, MAX_NAME_CHARS) } as Record<Name, string>
}
