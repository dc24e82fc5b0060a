/** A pause of role changes in words. */
import type { PauseInfo } from '../api/rolePause.ts'
import { shown } from './table.ts'

export function pauseText({ until, by, reason }: PauseInfo): string {
  const why = reason === '' ? '' : `: ${reason}`
  return shown(`until ${until} by ${by}${why}`)
}
