/**
 * The thread that holds a Turso writer's database: commits one row for each id it is sent, and
 * pushes all the time.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { MAKE_TABLE, openTurso, tursoPlace } from './tursoDatabase.ts'
import { rowValue } from './values.ts'

export interface TursoWriting {
  readonly where: string
  /** Bytes of the value in each row. */
  readonly valueBytes: number
}

const port = parentPort
if (!port) throw new Error('this runs as a thread')
const { where, valueBytes } = workerData as TursoWriting
const place = tursoPlace(where)
const db = await openTurso(place)
if (place.url === undefined) await db.exec(MAKE_TABLE)
const insert = await db.prepare('INSERT INTO t(id, v) VALUES (?, ?)')
let committed = 0
let isClosing = false
let wake = () => {}

port.on('message', async (message: number | 'close') => {
  if (message === 'close') {
    isClosing = true
  } else {
    await insert.run(message, rowValue(message, valueBytes))
    committed = message
    port.postMessage(message)
  }
  wake()
})
port.postMessage(0)

/** Until the server has everything and no more commits come. */
async function pushAll(): Promise<void> {
  for (let pushed = 0; !isClosing || pushed < committed; ) {
    if (pushed === committed) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
      continue
    }
    const upTo = committed
    if (place.url !== undefined) await db.push()
    pushed = upTo
  }
}

await pushAll()
await db.close()
port.close()
