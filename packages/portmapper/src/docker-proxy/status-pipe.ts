import { closeSync, fstatSync, writeSync } from 'node:fs'

/** The descriptor on which whoever starts a proxy waits to hear how that went. */
const STATUS_FD = 3

/** Says that the proxy serves. */
export function reportReady(): void {
  report('0\n')
}

/** Says why it does not; false when nobody waits for that. */
export function reportFailure(message: string): boolean {
  return report(`1\n${message}`)
}

function report(text: string): boolean {
  if (!isPipe()) return false
  try {
    writeSync(STATUS_FD, text)
    closeSync(STATUS_FD)
  } catch {
    // Whoever started it has gone meanwhile.
  }
  return true
}

/** Started by hand, the number may be one that Node itself has opened for something else. */
function isPipe(): boolean {
  try {
    const status = fstatSync(STATUS_FD)
    return status.isFIFO() || status.isSocket()
  } catch {
    return false // not open
  }
}
