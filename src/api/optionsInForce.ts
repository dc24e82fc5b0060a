/** `GET /_walcast/options`: the options of a node in force, and the keys that it goes by. */
import type { OptionOrigin } from '../options/optionOrigin.ts'
import type { ShownOption } from '../options/shownOptions.ts'

export const OPTIONS_PATH = '/_walcast/options'

/** A secret, a key or a certificate, by its name alone. */
export interface KeyInfo {
  readonly kind: 'secret' | 'settings-key' | 'certificate'
  /** Of a certificate the fingerprint of its key. */
  readonly id: string
  /** ISO time; null: not known, as of a secret that the operator gave. */
  readonly created: string | null
  /** ISO time; null: not by itself. */
  readonly ends: string | null
  /** Whether it signs, wraps or is served now. Others open what they made. */
  readonly isInUse: boolean
  readonly origin: OptionOrigin
}

export interface OptionsAnswer {
  readonly node: string
  readonly options: readonly ShownOption[]
  readonly keys: readonly KeyInfo[]
}

export interface OptionsDesk {
  answer(): OptionsAnswer
}
