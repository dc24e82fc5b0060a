/**
 * The registry of a node's metrics. Counters and histograms are made once and count on when the
 * node changes its role; a gauge reads from whatever has taken the place of its source.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

const PREFIX = 'walcast_'
/** Bounds of the buckets of every histogram, seconds. */
const SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5,
]

export class MetricsRegistry {
  readonly registry = new Registry()

  /** `withDefaults` adds those of the process; for a daemon, not for a library. */
  constructor(withDefaults: boolean) {
    if (withDefaults)
      collectDefaultMetrics({
        register: this.registry,
        prefix: PREFIX,
        eventLoopMonitoringPrecision: 1000,
      })
  }

  counter(name: string, help: string): Counter {
    return this.#known<Counter>(name) ?? new Counter(this.#about(name, help))
  }

  /** Few values for each label: keys of the error catalogue where there is no other list. */
  labelled<Label extends string>(
    name: string,
    help: string,
    ...labels: readonly Label[]
  ): Counter<Label> {
    const known = this.#known<Counter<Label>>(name)
    return known ?? new Counter<Label>({ ...this.#about(name, help), labelNames: labels })
  }

  histogram(name: string, help: string): Histogram {
    const known = this.#known<Histogram>(name)
    return known ?? new Histogram({ ...this.#about(name, help), buckets: SECONDS })
  }

  /** What a counter without labels has counted; 0 before it is made. */
  async total(name: string): Promise<number> {
    const { values } = (await this.#known<Counter>(name)?.get()) ?? { values: [] }
    return values.reduce((sum, { value }) => sum + value, 0)
  }

  gauge(name: string, help: string, read: () => number): void {
    this.registry.removeSingleMetric(PREFIX + name)
    new Gauge({
      ...this.#about(name, help),
      collect() {
        this.set(read())
      },
    })
  }

  /** One value for each label that `read` gives. */
  gauges(name: string, help: string, label: string, read: () => ReadonlyMap<string, number>): void {
    this.registry.removeSingleMetric(PREFIX + name)
    new Gauge({
      ...this.#about(name, help),
      labelNames: [label],
      collect() {
        this.reset()
        for (const [value, number] of read()) this.set({ [label]: value }, number)
      },
    })
  }

  /** 1 for each of `values` that `read` gives, 0 for the others. */
  flags(
    name: string,
    help: string,
    label: string,
    values: readonly string[],
    read: () => ReadonlySet<string>,
  ): void {
    this.registry.removeSingleMetric(PREFIX + name)
    new Gauge({
      ...this.#about(name, help),
      labelNames: [label],
      collect() {
        const now = read()
        for (const value of values) this.set({ [label]: value }, now.has(value) ? 1 : 0)
      },
    })
  }

  #about(name: string, help: string) {
    return { name: PREFIX + name, help, registers: [this.registry] }
  }

  #known<M>(name: string): M | undefined {
    return this.registry.getSingleMetric(PREFIX + name) as M | undefined
  }
}
