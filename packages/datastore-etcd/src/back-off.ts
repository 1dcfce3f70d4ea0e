const FIRST_MS = 50
const LONGEST_MS = 2_000

/**
 * How long to wait before the next try: twice as long after each failure, with half of it left to chance,
 * so that those who failed together do not come back together.
 */
export function backOffMs(failures: number, random: () => number = Math.random): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.max(0, failures - 1))
  return full / 2 + (random() * full) / 2
}
