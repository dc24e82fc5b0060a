/**
 * Runs the test files in its arguments, reports as Node's reporter `spec` does, and exits with 1
 * when a test has failed. Files that need their processor time start first, beside few others.
 */
import { spec } from 'node:test/reporters'
import { runTests } from '../testRun.ts'

/** Their time limits are milliseconds, or they compare the speed of two processes. */
const STRICT = /\/(sqlite|leader)\/|\/groups\/leader-|\/e2e\/twins\./

const isStrict = (file: string) => STRICT.test(file)
const given = process.argv.slice(2)
const files = [...given.filter(isStrict), ...given.filter((file) => !isStrict(file))]

const reporter = new spec()
reporter.pipe(process.stdout)
const havePassed = await runTests({ files, isStrict, report: (event) => reporter.write(event) })
reporter.end()
process.exitCode = havePassed ? 0 : 1
