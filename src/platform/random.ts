/**
 * Randomness. All of `src` has it from here, so that a simulation can put its seed in the place of
 * the system's entropy (`replaceRandom`).
 */
import { randomBytes as systemBytes, randomUUID as systemUuid } from 'node:crypto'

export interface RandomSource {
  random(): number
  randomBytes(count: number): Buffer
  randomUuid(): string
}

const SYSTEM: RandomSource = {
  random: () => Math.random(),
  randomBytes: (count) => systemBytes(count),
  randomUuid: () => systemUuid(),
}

let source = SYSTEM

/**
 * Puts another source in place of the system's for this whole thread, until the function that it
 * gives is called.
 */
export function replaceRandom(other: RandomSource): () => void {
  source = other
  return () => {
    source = SYSTEM
  }
}

/** From 0 to below 1. Nobody's secret: see `randomBytes`. */
export function random(): number {
  return source.random()
}

/** Cryptographically strong. */
export function randomBytes(count: number): Buffer {
  return source.randomBytes(count)
}

/** Cryptographically strong; version 4 of RFC 9562. */
export function randomUuid(): string {
  return source.randomUuid()
}
