/** The text format of Prometheus, as far as the bench reads it. */

export interface Sample {
  readonly name: string
  readonly labels: string
  readonly value: number
}

const LINE = /^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)/

export function parseMetrics(text: string): Sample[] {
  const samples: Sample[] = []
  for (const line of text.split('\n')) {
    const match = LINE.exec(line)
    const value = Number(match?.[3])
    if (match && !Number.isNaN(value))
      samples.push({ name: match[1], labels: match[2] ?? '', value })
  }
  return samples
}

/** Sum over all label sets of one metric; 0 when there is none. */
export function sumOf(samples: readonly Sample[], name: string): number {
  return samples.reduce((sum, sample) => (sample.name === name ? sum + sample.value : sum), 0)
}
