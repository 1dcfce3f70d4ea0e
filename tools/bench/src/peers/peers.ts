import type { Measurement } from '../measure.ts'

export async function measurePeers(): Promise<Measurement[]> {
  return Promise.resolve([])
}
