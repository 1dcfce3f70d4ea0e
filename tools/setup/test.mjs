/**
 * `npm test`: sets up what is missing and passes all tests, kernel tests included. Arguments go to vitest.
 * Ends with a line that counts. In CI a skipped test is a failure.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { become, ensureBuilt, ensureInstalled, ensureTestTools, root, tool } from './ensure.mjs'

ensureInstalled()
ensureTestTools()
ensureBuilt()

const report = join(root, 'node_modules/.cache/vitest-report.json')
rmSync(report, { force: true })
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
await become(tool('vitest'), ['run', ...reporters, ...process.argv.slice(2)], { cwd: root })

if (existsSync(report)) {
  const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(report, 'utf8'))
  const broken = testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  )
  const failed = numFailedTests + broken.length
  if (process.env.CI !== undefined && numPendingTests > 0) {
    for (const { assertionResults } of testResults) {
      for (const { status, fullName } of assertionResults) {
        if (status === 'pending' || status === 'skipped') console.log(`skipped, which fails in CI: ${fullName}`)
      }
    }
    process.exitCode = 1
  }
  if (failed > 0) process.exitCode = 1
  console.log(`${numPassedTests} passed, ${failed} failed, ${numPendingTests} skipped`)
} else {
  process.exitCode ||= 1
}
