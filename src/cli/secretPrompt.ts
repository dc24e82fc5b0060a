/** Asks for a secret at a terminal, which does not show what is typed. */
import { WalcastError } from '../errors.ts'

const MAX_CHARS = 65_536
/** The last is Ctrl-D. */
const ENTER = '\r\n\x04'
const INTERRUPT = '\x03'
const BACKSPACE = '\x7f\b'

/** Asks twice. Throws USAGE when the answers differ. */
export async function askSecret(name: string): Promise<string> {
  const first = await ask(`${name}: `)
  const second = await ask('again: ')
  if (first === second) return first
  throw new WalcastError('USAGE', { detail: 'the two are not the same' })
}

function ask(question: string): Promise<string> {
  const { stdin, stderr } = process
  // Before the question: the terminal would show an answer that comes at once.
  stdin.setEncoding('utf8').setRawMode(true).resume()
  stderr.write(question)
  return new Promise((resolve, reject) => {
    let typed: readonly string[] = []
    const end = (then: () => void) => {
      stdin.off('data', take).off('end', leave).setRawMode(false).pause()
      stderr.write('\n')
      then()
    }
    const leave = () =>
      end(() => reject(new WalcastError('USAGE', { detail: 'nothing was typed' })))
    const take = (text: string) => {
      for (const [at, character] of [...text].entries()) {
        if (ENTER.includes(character)) {
          // Of text that was pasted, the next question gets the rest.
          const rest = [...text].slice(at + 1).join('')
          if (rest) stdin.unshift(rest)
          return end(() => resolve(typed.join('')))
        }
        if (character === INTERRUPT) return end(() => process.kill(process.pid, 'SIGINT'))
        typed = BACKSPACE.includes(character) ? typed.slice(0, -1) : [...typed, character]
        if (typed.length > MAX_CHARS) return leave()
      }
    }
    stdin.on('data', take).once('end', leave)
  })
}
