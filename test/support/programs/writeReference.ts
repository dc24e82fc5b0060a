/** Writes docs/options.md and docs/metrics.md. */
import { writeFileSync } from 'node:fs'
import { METRICS_PAGE, metricsPage } from '../metricsPage.ts'
import { OPTIONS_PAGE, optionsPage } from '../optionsPage.ts'

writeFileSync(OPTIONS_PAGE, optionsPage())
writeFileSync(METRICS_PAGE, metricsPage())
